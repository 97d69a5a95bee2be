"""Structured pruning of bilinear CNNs: nouns at the root (no torch), verbs in folders."""
