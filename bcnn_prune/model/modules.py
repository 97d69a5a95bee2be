"""The torch module of each layer: a new kind of layer registers its own with `build`."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial, singledispatch

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bcnn_prune import heads, layers
from bcnn_prune.layers import Layer, Step
from bcnn_prune.model.heads import (
    average_features,
    bilinear_pool,
    covariance_pool,
    matrix_sqrt,
    signed_sqrt,
    unit_length,
)


@singledispatch
def build(layer: Layer, step: Step) -> nn.Module:
    """The module that computes `layer` at `step`; its tensors are named and shaped as `layer.axes` says."""
    raise TypeError(f"{step.name}: register the module of a {type(layer).__name__} with build")


def sequence(steps: Iterable[Step]) -> nn.Sequential:
    """The modules of `steps` by name, one after the other."""
    return nn.Sequential(OrderedDict((step.name, build(step.layer, step)) for step in steps))


@build.register
def _(layer: layers.Conv, step: Step) -> nn.Module:
    x, y = step.x.channels, step.y.channels
    return nn.Conv2d(x, y, layer.kernel, layer.stride, layer.padding, groups=layer.groups, bias=layer.bias)


@build.register
def _(layer: layers.Depthwise, step: Step) -> nn.Module:
    channels = step.x.channels
    return nn.Conv2d(channels, channels, layer.kernel, layer.stride, layer.padding, groups=channels, bias=layer.bias)


@build.register
def _(layer: layers.Norm, step: Step) -> nn.Module:
    return nn.BatchNorm2d(step.x.channels)


@build.register
def _(layer: layers.ReLU, step: Step) -> nn.Module:
    return nn.ReLU(inplace=True)


@build.register
def _(layer: layers.ReLU6, step: Step) -> nn.Module:
    return nn.ReLU6(inplace=True)


@build.register
def _(layer: layers.MaxPool, step: Step) -> nn.Module:
    return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding)


@build.register
def _(layer: layers.Dropout, step: Step) -> nn.Module:
    return nn.Dropout(layer.rate)


@build.register
def _(layer: layers.Linear, step: Step) -> nn.Module:
    return nn.Linear(step.x.size, step.y.channels)


@build.register
def _(layer: heads.Flatten, step: Step) -> nn.Module:
    return nn.Flatten()


@build.register
def _(layer: heads.AveragePool, step: Step) -> nn.Module:
    return _Function(average_features)


@build.register
def _(layer: heads.Square, step: Step) -> nn.Module:
    return _Function(torch.square)


@build.register
def _(layer: heads.BilinearPool, step: Step) -> nn.Module:
    pool = _Function(bilinear_pool)
    return nn.Sequential(pool, _Triangle(step.x.channels)) if layer.triangle else pool


@build.register
def _(layer: heads.SignedRoot, step: Step) -> nn.Module:
    return _Function(signed_sqrt)


@build.register
def _(layer: heads.UnitLength, step: Step) -> nn.Module:
    return _UnitTriangle(step.x.channels) if step.x.layout == "triangle" else _Function(unit_length)


@build.register
def _(layer: heads.Covariance, step: Step) -> nn.Module:
    return _Function(covariance_pool)


@build.register
def _(layer: heads.MatrixRoot, step: Step) -> nn.Module:
    return nn.Sequential(_Function(partial(matrix_sqrt, iterations=layer.iterations)), _Triangle(step.x.channels))


class _Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class _Triangle(nn.Module):
    """The upper triangle of symmetric matrices, row by row."""

    entries: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rows, columns = torch.triu_indices(channels, channels, device="cpu")  # also where weights are on no device yet
        self.register_buffer("entries", rows * channels + columns, persistent=False)

    def forward(self, matrices: Float[Tensor, "batch c c"]) -> Float[Tensor, "batch pairs"]:
        return matrices.flatten(1).index_select(1, self.entries)


class _UnitTriangle(nn.Module):
    """Division of an upper triangle by the L2 norm of the whole symmetric matrix."""

    repeats: Tensor
    """Occurrences of each entry in the whole matrix: 1 on the diagonal, else 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        rows, columns = torch.triu_indices(channels, channels, device="cpu")  # also where weights are on no device yet
        self.register_buffer("repeats", 2.0 - (rows == columns).float(), persistent=False)

    def forward(self, pairs: Float[Tensor, "batch pairs"]) -> Float[Tensor, "batch pairs"]:
        length = (pairs * pairs @ self.repeats).sqrt()
        return pairs / length.clamp_min(1e-12).unsqueeze(1)  # F.normalize's floor, for an image without any feature
