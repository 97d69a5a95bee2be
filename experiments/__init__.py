"""Experiments: each module at this level is a command about the thesis' question."""
