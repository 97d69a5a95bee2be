"""Sensitivity of a network to cuts of single layers, and the ranking of all channels that follows from it.

FastNAS (NVIDIA Model Optimizer) looks for one threshold τ: each layer gets the smallest width at which the network,
with that layer alone cut, loses no more than τ. That is a global ranking: a channel's score is what dropping it, and
all that is worse in its layer, costs, and those above τ stay. So plans of all τ nest, as with any other rule."""

import copy
from collections.abc import Callable

import numpy as np
import torch

from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.pruning.importance import Scores, with_blocks
from bcnn_prune.pruning.rules import ranked_by
from bcnn_prune.pruning.select import keep_widths
from bcnn_prune.pruning.surgery import rebuild
from bcnn_prune.records import Evaluation
from bcnn_prune.records.sensitivity import Sensitivity

SHARES = (1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4)
"""Of a layer's width: the widths that are tried. Most is lost at the narrow end."""


def sensitivity(
    model: BilinearCNN,
    scores: Scores,
    criterion: str,
    counted: Callable[[BilinearCNN], Evaluation],
    shares: tuple[float, ...] = SHARES,
) -> Sensitivity:
    """Cut each layer that has `scores` alone to these shares of its width, at least one channel, and count.

    `counted` may change the network that it is given; `model` is untouched."""
    spec, ranked = model.spec, _ranked(model, scores)
    widths: dict[str, tuple[int, ...]] = {}
    for layer in ranked:
        step, width = spec.blocks.get(layer, 1), spec.width_of[layer]
        tried = {step * max(1, round(share * width / step)) for share in shares}
        widths[layer] = tuple(sorted(tried - {width}))

    def correct(layer: str, width: int) -> int:
        plan = keep_widths({layer: ranked[layer]}, {layer: width}).completed(spec)
        return counted(rebuild(model, plan)).correct

    whole = counted(copy.deepcopy(model))
    return Sensitivity(
        criterion, whole, widths, {at: tuple(correct(at, width) for width in tried) for at, tried in widths.items()}
    )


def by_sensitivity(model: BilinearCNN, scores: Scores, found: Sensitivity) -> Scores:
    """Scores of all channels that are ranked by sensitivity: the loss of accuracy without the channel and all that
    `scores` rank below it in its layer.

    Between the measured widths the loss is interpolated; it never falls as more goes, and a network without a channel
    loses all. Equal losses, less than half an image apart, are ranked as the rule `rank` does."""
    return {
        layer: _losses(found, layer, len(values))[_places(values)] + values / (2 * found.whole.images)
        for layer, values in _ranked(model, scores).items()
    }


def _losses(found: Sensitivity, layer: str, width: int) -> torch.Tensor:
    """What each number of channels costs, from 0 to all but one."""
    measured = [found.whole.accuracy, *found.losses(layer), 0.0]
    never_falling = np.maximum.accumulate(measured[::-1])[::-1]
    return torch.from_numpy(np.interp(np.arange(width), (0, *found.widths[layer], width), never_falling))


def _places(values: torch.Tensor) -> torch.Tensor:
    """How many channels of the layer are better than each."""
    return values.argsort(descending=True, stable=True).argsort()


def _ranked(model: BilinearCNN, scores: Scores) -> Scores:
    """Scores by their order within each layer, 0 to 1, no two places of a layer alike."""
    return ranked_by(with_blocks(scores, model.spec.blocks), "rank")
