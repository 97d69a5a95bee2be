"""Backends: each opens a file of its kind as a function from pixels to logits."""
