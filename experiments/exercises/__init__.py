"""The experiments of the course documents, each a flow on this project's machinery."""
