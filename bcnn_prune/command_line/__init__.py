"""From a command line to a settings dataclass, and from a user's mistake to one line and an exit code."""
