"""Recompute BatchNorm statistics after a cut: each channel now sees other inputs than its averages were made for."""

import copy
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bcnn_prune.model.network import BilinearCNN, evaluating


@torch.no_grad()
def recalibrated(model: BilinearCNN, batches: Iterable[Float[Tensor, "batch colours h w"]]) -> BilinearCNN:
    """Copy `model` with the running mean and variance of every BN averaged anew over normalised images.

    No labels and no gradient: only the statistics change. Each batch counts by its images. Raises ValueError without
    any."""
    fresh, seen = copy.deepcopy(model), 0
    norms = [module for module in fresh.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    with evaluating(fresh):
        for norm in norms:
            norm.train().reset_running_stats()
        for images in batches:
            if not len(images):
                continue
            seen += len(images)
            for norm in norms:
                norm.momentum = len(images) / seen  # a plain average over the images, not a decaying one
            fresh(images)
    if not seen:
        raise ValueError("there are no images to average BN statistics over")
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return fresh
