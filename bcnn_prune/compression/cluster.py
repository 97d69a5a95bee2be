"""Weights that share values: k-means of each tensor's entries (Han et al. 2016, section 3), for size alone."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from bcnn_prune.compression.sparse import weights_of
from bcnn_prune.model.network import BilinearCNN

ROUNDS = 100  # most, after which the squared error is within some 2 % of what it converges to
Values = NDArray[np.float64]


@torch.no_grad()
def clustered(model: BilinearCNN, bits: int) -> BilinearCNN:
    """Copy `model` with at most 2^bits values in each weight tensor. Zeros stay zero and are one of them.

    Biases and BatchNorms, a few values each, stay as they are. Raises ValueError for less than one bit."""
    if bits < 1:
        raise ValueError(f"{bits} bits tell no values apart: take 1 or more, such as 8 or 4")
    model = copy.deepcopy(model)
    for weight in weights_of(model).values():
        kept = weight != 0
        if (values := weight[kept].double().cpu().numpy()).size:
            weight[kept] = torch.from_numpy(nearest(values, 2**bits - (not kept.all()))).to(weight)
    return model


def nearest(values: Values, clusters: int) -> Values:
    """Each value's cluster centre, by Lloyd's algorithm from evenly spaced ones, which keep the few large weights.

    In one dimension a cluster is an interval of the sorted values, so a round is one search and differences of sums."""
    ordered = np.sort(values)
    sums = np.append(0, np.cumsum(ordered))
    centres = np.unique(np.linspace(ordered[0], ordered[-1], clusters))
    for _ in range(ROUNDS):
        borders = (centres[1:] + centres[:-1]) / 2
        ends = np.concatenate(([0], np.searchsorted(ordered, borders), [len(ordered)]))
        counts = np.diff(ends)
        moved = np.where(counts, np.diff(sums[ends]) / np.maximum(counts, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    found: Values = centres[np.searchsorted((centres[1:] + centres[:-1]) / 2, values)]
    return found
