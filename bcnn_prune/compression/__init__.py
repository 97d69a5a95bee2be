"""Ways to make a trained network small beside pruning its channels."""
