"""Questions about the implementation, each a command that writes results/<topic>/."""
