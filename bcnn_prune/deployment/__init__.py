"""From a checkpoint to files that other runtimes load, and from such a file to logits."""
