"""Recompute BatchNorm statistics after a cut: each channel now sees other inputs than its averages were made for."""

import copy
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from bcnn_prune.model.network import BilinearCNN


@torch.no_grad()
def recalibrated(model: BilinearCNN, batches: Iterable[Float[Tensor, "batch 3 h w"]]) -> BilinearCNN:
    """Copy `model` with the running mean and variance of every BN averaged anew over normalised images.

    No labels and no gradient: only the statistics change. Batches count alike, so give them alike in size."""
    fresh = copy.deepcopy(model).train()
    for norm in fresh.norms.values():
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches, not a decaying one
    for images in batches:
        fresh(images)
    for norm, before in zip(fresh.norms.values(), model.norms.values(), strict=True):
        norm.momentum = before.momentum
    return fresh.train(model.training)
