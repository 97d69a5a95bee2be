"""Importance criteria: a network in, one score for each channel out. The lower, the sooner it is dropped."""

from collections.abc import Callable, Mapping

from jaxtyping import Float
from torch import Tensor

from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.pruning.sparsity import scales

Scores = Mapping[str, Float[Tensor, " channels"]]
Criterion = Callable[[BilinearCNN], Scores]

# |γ|: network slimming (Liu et al. 2017); the thesis' only criterion (3.3).
CRITERIA: dict[str, Criterion] = {"bn-scale": scales}
