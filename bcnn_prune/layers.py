"""A network as a sequence of layers: each knows its arithmetic, and which channels index its tensors.

Knows no torch. Cost, network, surgery, folding and export are each one loop over `steps`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import lcm, prod
from typing import Literal

import numpy as np
from jaxtyping import Int64

Kept = Mapping[str, tuple[int, ...]]
"""The channels that stay, by the layer that makes them, ascending."""


@dataclass(frozen=True)
class Line:
    """Cost of one operation; all but params and statistics for one image."""

    outputs: int
    """Elements of the activation that it hands on."""
    param_factors: tuple[int, ...] = ()
    """Their product are its parameters, as written out: kernel height and width, channels in and out."""
    mac_factors: tuple[int, ...] = ()
    """Their product are its multiply-adds."""
    elementwise: int = 0
    """Operations on single elements, which are no multiply-adds."""
    statistics: int = 0
    """Elements of BN's running mean and variance: stored, but not trained and no parameters."""
    in_place: bool = False
    """The output takes the memory of the input."""

    @property
    def params(self) -> int:
        return prod(self.param_factors) if self.param_factors else 0

    @property
    def macs(self) -> int:
        return prod(self.mac_factors) if self.mac_factors else 0

    @property
    def flops(self) -> int:
        """Two per multiply-add, elementwise operations left out."""
        return 2 * self.macs

    @property
    def file_bytes(self) -> int:
        """In a checkpoint in fp32; a BN also stores how many batches it has seen, in 8 bytes."""
        return 4 * (self.params + self.statistics) + 8 * (self.statistics > 0)


@dataclass(frozen=True)
class Activation:
    """Output of a layer: the channels of the layer `maker`, and how they lie in memory."""

    maker: str
    channels: int
    side: int
    """Pixels, height and width of a channel's map."""
    layout: Literal["map", "flat", "pairs", "triangle"] = "map"
    """C × H × W; the same as one vector; the C × C products of channels; of these each pair once."""

    @property
    def factors(self) -> tuple[int, ...]:
        """Their product is its size."""
        match self.layout:
            case "map" | "flat":
                return (self.channels, self.side, self.side) if self.side > 1 else (self.channels,)
            case "pairs":
                return (self.channels, self.channels)
            case "triangle":
                return (self.channels * (self.channels + 1) // 2,)

    @property
    def size(self) -> int:
        """Elements per image."""
        return prod(self.factors)

    def entries(self, kept: Kept) -> Int64[np.ndarray, " entries"]:
        """Indices that stay along a tensor's axis of this activation: what goes with a channel is known here alone."""
        entries = stay = np.array(kept.get(self.maker, range(self.channels)))
        match self.layout:
            case "flat":
                positions = self.side**2
                entries = (stay[:, None] * positions + np.arange(positions)).ravel()
            case "pairs":  # losing channel i loses row i and column i of the C × C matrix
                entries = (stay[:, None] * self.channels + stay).ravel()
            case "triangle":  # row by row: row i starts after i rows of C, C - 1, … entries
                rows, columns = (stay[index] for index in np.triu_indices(len(stay)))
                entries = rows * self.channels - rows * (rows - 1) // 2 + columns - rows
        return entries


@dataclass(frozen=True)
class Layer:
    """Hands its input on."""

    makes: int = 0
    """Channels of its own, which a plan may cut; 0: it keeps those of its input."""

    def out(self, x: Activation, name: str) -> Activation:
        """The activation that the layer called `name` makes of `x`."""
        return x

    def axes(self, x: Activation, y: Activation) -> Mapping[str, tuple[Activation, ...]]:
        """For each tensor of the layer, the activations whose channels index its first axes."""
        return {}

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        """Cost of its operations, by name, in order."""
        return {}


@dataclass(frozen=True)
class ReLU(Layer):
    """max(x, 0)."""

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        return {name: Line(y.size, elementwise=y.size, in_place=True)}


@dataclass(frozen=True)
class ReLU6(Layer):
    """min(max(x, 0), 6) (MobileNets; Howard et al. 2017)."""

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        return {name: Line(y.size, elementwise=2 * y.size, in_place=True)}


@dataclass(frozen=True)
class Dropout(Layer):
    """Zeroes single elements while training; does nothing at inference."""

    rate: float = 0.5


@dataclass(frozen=True)
class Window(Layer):
    """Slides a square window of `kernel` pixels by `stride` over a map padded by `padding` on every side."""

    kernel: int = 3
    stride: int = 1
    padding: int = 1

    def out(self, x: Activation, name: str) -> Activation:
        side = (x.side + 2 * self.padding - self.kernel) // self.stride + 1
        if x.layout != "map" or side < 1:
            raise ValueError(f"{name} needs maps of {self.kernel} px, and has {x.side}: prepare larger images")
        return Activation(name, self.makes, side) if self.makes else replace(x, side=side)


@dataclass(frozen=True)
class MaxPool(Window):
    """Largest value of each window."""

    kernel: int = 2
    stride: int = 2
    padding: int = 0

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        return {name: Line(y.size, elementwise=(self.kernel**2 - 1) * y.size)}


@dataclass(frozen=True)
class Conv(Window):
    """`makes` channels, each from all that it reads, or from its block of them where `groups` > 1."""

    groups: int = 1
    bias: bool = True

    def axes(self, x: Activation, y: Activation) -> Mapping[str, tuple[Activation, ...]]:
        block = replace(x, channels=x.channels // self.groups)
        return {"weight": (y, block), **_bias(self.bias, y)}

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        weights = (self.kernel, self.kernel, x.channels // self.groups, y.channels)
        return _product(name, y, weights, (*weights, y.side, y.side), self.bias)


@dataclass(frozen=True)
class Depthwise(Window):
    """One kernel per channel and no channels of its own: whatever narrows its input narrows it, too."""

    bias: bool = True

    def axes(self, x: Activation, y: Activation) -> Mapping[str, tuple[Activation, ...]]:
        return {"weight": (y,), **_bias(self.bias, y)}

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        weights = (self.kernel, self.kernel, y.channels)
        return _product(name, y, weights, (*weights, y.side, y.side), self.bias)


@dataclass(frozen=True)
class Norm(Layer):
    """BatchNorm: a scale γ and a shift β per channel."""

    def axes(self, x: Activation, y: Activation) -> Mapping[str, tuple[Activation, ...]]:
        return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (y,))

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        both = (2, y.channels)
        return {name: Line(y.size, both, elementwise=2 * y.size, statistics=prod(both))}


@dataclass(frozen=True)
class Linear(Layer):
    """A dense layer; hidden ones are prunable as convolutions are."""

    def out(self, x: Activation, name: str) -> Activation:
        return Activation(name, self.makes, side=1)

    def axes(self, x: Activation, y: Activation) -> Mapping[str, tuple[Activation, ...]]:
        return {"weight": (y, x), "bias": (y,)}

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        weights = (*x.factors, self.makes)
        return _product(name, y, weights, weights, bias=True)


Layers = dict[str, Layer]
"""An architecture: its layers by name, in order."""


@dataclass(frozen=True)
class Step:
    """One layer in its place: what it reads and what it hands on."""

    name: str
    layer: Layer
    x: Activation
    y: Activation


def steps(layers: Mapping[str, Layer], side: int, channels: int = 3) -> Iterator[Step]:
    """The layers in order, for images of `channels` × `side` × `side` pixels."""
    x = Activation("image", channels, side)
    for name, layer in layers.items():
        y = layer.out(x, name)
        yield Step(name, layer, x, y)
        x = y


def lines_of(steps: Iterable[Step]) -> dict[str, Line]:
    """The lines of all layers by name, in order."""
    lines: dict[str, Line] = {}
    for step in steps:
        lines |= step.layer.lines(step.name, step.x, step.y)
    return lines


def blocks(layers: Mapping[str, Layer]) -> dict[str, int]:
    """In how many blocks of equal size the channels of a layer lie, for all that a grouped convolution makes or reads.

    A plan keeps the same places in every block: such channels go together."""
    count: dict[str, int] = {}
    maker = "image"
    for name, layer in layers.items():
        made = name if layer.makes else maker
        if isinstance(layer, Conv) and layer.groups > 1:
            for end in (maker, made):
                count[end] = lcm(count.get(end, 1), layer.groups)
        maker = made
    return count


def _bias(bias: bool, y: Activation) -> dict[str, tuple[Activation, ...]]:
    return {"bias": (y,)} if bias else {}


def _product(name: str, y: Activation, weights: tuple[int, ...], macs: tuple[int, ...], bias: bool) -> dict[str, Line]:
    """The lines of a convolution or dense layer: that of its weights, and that of its bias."""
    lines = {name: Line(y.size, weights, macs)}
    if bias:
        lines[f"{name} bias"] = Line(y.size, (y.channels,), elementwise=y.size, in_place=True)
    return lines
