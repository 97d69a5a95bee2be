"""One training phase, which knows nothing of pruning."""
