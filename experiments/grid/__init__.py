"""Many runs: which there are, in which order, here or on Ray."""
