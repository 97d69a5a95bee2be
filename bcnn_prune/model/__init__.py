"""The bilinear CNN and its weights."""
