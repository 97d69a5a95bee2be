"""Accuracy, cost and time of a network."""
