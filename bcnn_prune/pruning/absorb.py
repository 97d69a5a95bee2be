"""Absorb what dropped channels emit: with γ near zero a channel still emits ReLU(β), a constant, after BatchNorm.

The next convolution turns it into another constant, which the BatchNorm behind it can subtract. Exact but for the
border of the map, where the convolution sees padding instead."""

import copy
from collections import Counter
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bcnn_prune.layers import Depthwise, Norm
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.surgery import rebuild
from bcnn_prune.spec import ModelSpec


@torch.no_grad()
def absorbed(model: BilinearCNN, plan: ChannelPlan) -> BilinearCNN:
    """Rebuild `model` by `plan`, with ReLU(β) of every dropped channel folded into the running mean of the next BN.

    The copy computes what `with_constant_channels` does. `model` is untouched. Raises ValueError without BatchNorm."""
    _require_chain(model.spec, "absorbing what dropped channels emit", "the plain cut, without absorbing")
    narrow = rebuild(model, plan)
    constant: Tensor | None = None
    for layer, conv in _convolutions(model).items():
        kept = torch.tensor(plan.kept[layer], device=conv.weight.device)
        if constant is not None:
            narrow.norms[layer].state_dict()["running_mean"] -= conv.weight[kept].sum(dim=(2, 3)) @ constant
        constant = model.norms[layer].bias.relu().index_fill(0, kept, 0)
    return narrow


@torch.no_grad()
def with_constant_channels(model: BilinearCNN, plan: ChannelPlan) -> BilinearCNN:
    """Copy `model` at full width with every dropped channel as if its γ were zero: it emits ReLU(β), a constant, which
    each convolution sees beyond the border too. Dropped channels of the last layer are silent: what they emit would
    have to pass the bilinear pooling. `model` is untouched. Raises ValueError without BatchNorm."""
    _require_chain(model.spec, "a channel that emits ReLU(β)", "silenced")
    wide = copy.deepcopy(model)
    convs = _convolutions(wide)
    before: Tensor | None = None
    for layer, channels in plan.dropped(model.spec).items():
        conv, norm = convs[layer], wide.norms[layer]
        if before is not None:
            conv.register_forward_pre_hook(_padded_with(before, *conv.padding))
            conv.padding = (0, 0)
        dropped = list(channels)
        norm.weight[dropped] = 0
        if layer == model.spec.pooled:
            norm.bias[dropped] = 0
        before = torch.zeros_like(norm.bias)
        before[dropped] = norm.bias[dropped].relu()
    return wide


def is_chain(spec: ModelSpec) -> bool:
    """Whether each prunable layer is a convolution that reads the one before it alone, through a BatchNorm of its own.

    Else a constant would pass a depthwise kernel, whose border it meets again, or a layer that has no BatchNorm to
    subtract it."""
    norms = Counter(step.y.maker for step in spec.steps() if isinstance(step.layer, Norm))
    depthwise = any(isinstance(layer, Depthwise) for layer in spec.trunk.values())
    return all(norms[layer] == 1 for layer in spec.layers) and not depthwise and not spec.blocks


def _require_chain(spec: ModelSpec, what: str, instead: str) -> None:
    spec.require_batch_norm(what, instead)
    if not is_chain(spec):
        raise ValueError(f"{what} needs a chain of convolutions with a BatchNorm each, as a VGG is: take {instead}")


def _convolutions(model: BilinearCNN) -> dict[str, nn.Conv2d]:
    return {name: layer for name, layer in model.prunable.items() if isinstance(layer, nn.Conv2d)}


def _padded_with(constant: Tensor, rows: int, columns: int) -> Callable[[nn.Module, tuple[Tensor]], Tensor]:
    """A hook that pads a convolution's input by so many pixels on every side, each channel with its own constant."""
    border = constant[:, None, None]
    return lambda _conv, inputs: F.pad(inputs[0] - border, (columns, columns, rows, rows)) + border
