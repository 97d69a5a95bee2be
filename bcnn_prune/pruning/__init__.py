"""From L1 on BatchNorm scales to a narrower network: sparsity, importance, selection, surgery."""
