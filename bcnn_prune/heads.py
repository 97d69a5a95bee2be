"""Heads: what becomes of a trunk's C × H × W feature map before the dense layers. Their torch side is model/heads.py.

In each of them a channel of zeros stays zero, so a rebuilt network equals the silenced one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bcnn_prune.layers import Activation, Conv, Layer, Layers, Line, Norm, ReLU

ROOT_OPERATIONS = 5


@dataclass(frozen=True)
class AveragePool(Layer):
    """The mean of each channel over its positions."""

    def out(self, x: Activation, name: str) -> Activation:
        return replace(x, side=1)

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        return {name: Line(y.size, elementwise=x.size)}  # H·W - 1 additions and a division per channel


@dataclass(frozen=True)
class Flatten(Layer):
    """The map as one vector: what reads it depends on the side of the images."""

    def out(self, x: Activation, name: str) -> Activation:
        return replace(x, layout="flat")


@dataclass(frozen=True)
class BilinearPool(Layer):
    """The average over positions of the outer product of a map with itself (Lin et al. 2015, section 3; thesis 3.2).

    `triangle` hands on each pair of channels once: the matrix is symmetric. The product itself stays whole, as a
    matrix product does not skip its lower half."""

    triangle: bool = False

    def out(self, x: Activation, name: str) -> Activation:
        return replace(x, layout="triangle" if self.triangle else "pairs")

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        pairs = x.channels**2
        return {name: Line(pairs, (), (x.channels, x.channels, x.side, x.side), elementwise=pairs)}


@dataclass(frozen=True)
class SignedRoot(Layer):
    """sign(p) · √(|p| + 1e-8)."""

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        return {name: Line(y.size, elementwise=ROOT_OPERATIONS * y.size)}


@dataclass(frozen=True)
class UnitLength(Layer):
    """Division by the L2 norm of the whole matrix, also of one that holds each pair once."""

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        # n squares, n - 1 additions, a root, its floor and n divisions; of a triangle n products with the weights, too
        per_entry = 4 if y.layout == "triangle" else 3
        return {name: Line(y.size, elementwise=per_entry * y.size + 1)}


@dataclass(frozen=True)
class Covariance(Layer):
    """Covariance of the channels over positions (iSQRT-COV; Li et al. 2018, section 3.1)."""

    def out(self, x: Activation, name: str) -> Activation:
        return replace(x, layout="pairs")

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        # the means, what is left of them, the division of the products
        return {name: Line(y.size, (), (*y.factors, x.side, x.side), elementwise=2 * x.size + y.size)}


@dataclass(frozen=True)
class MatrixRoot(Layer):
    """Square root of the matrix by Newton-Schulz iteration, of which each pair is handed on once (Li et al. 2018,
    eqs. 5 to 7)."""

    iterations: int = 5

    def out(self, x: Activation, name: str) -> Activation:
        return replace(x, layout="triangle")

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        pairs, iterations = x.channels**2, self.iterations
        products = 3 * iterations - 3  # the first iteration starts at Z = I and needs one, the last needs no further Z
        # the trace, its floor and its root; the division by it; 3·I; (3·I - Z·Y) / 2 in each iteration; the trace back
        elementwise = (x.channels - 1) + 2 + 3 * pairs + 2 * iterations * pairs
        return {name: Line(y.size, (), (products, *[x.channels] * 3), elementwise=elementwise)}


@dataclass(frozen=True)
class Head:
    """The layers between trunk and dense layers."""

    pool: Layers
    reduces: bool = False
    """A 1 × 1 convolution narrows the map before it is pooled."""
    flattens: bool = False
    """The trunk keeps its last max-pool, and the dense layers depend on the side of the images."""
    folded: Mapping[str, Layer] = field(default_factory=dict)
    """Layers that stand in for those of `pool` in a network folded for inference."""


_BILINEAR: Layers = {"pooling": BilinearPool(), "root": SignedRoot(), "norm": UnitLength()}
_TRIANGLE: Layers = {"pooling": BilinearPool(triangle=True)}

HEADS: dict[str, Head] = {
    "bilinear": Head(_BILINEAR, folded=_TRIANGLE),
    "average": Head({"pooling": AveragePool()}),
    "flatten": Head({"flatten": Flatten()}, flattens=True),
    "reduced": Head(_BILINEAR, reduces=True, folded=_TRIANGLE),
    "isqrt": Head({"pooling": Covariance(), "root": MatrixRoot()}, reduces=True),
}


def reduction(channels: int, batch_norm: bool) -> Layers:
    """The 1 × 1 convolution, BN and ReLU that narrow a map to `channels` before it is pooled."""
    conv = Conv(channels, kernel=1, padding=0, bias=not batch_norm)
    return {"conv_reduce": conv, **({"bn_reduce": Norm()} if batch_norm else {}), "relu_reduce": ReLU()}


REDUCTION = frozenset(reduction(1, batch_norm=True))
"""Names of a reduction's layers: the last of a trunk, but of no pretrained one."""
