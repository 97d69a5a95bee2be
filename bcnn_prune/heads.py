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
class Square(Layer):
    """Each value times itself."""

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        return {name: Line(y.size, elementwise=y.size)}


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
        # The first iteration starts at Z = I and needs one product, the last needs no further Z.
        products = max(1, 3 * iterations - 3)
        # the trace, its floor and its root; the division by it; 3·I; (3·I - Z·Y) / 2 in each iteration; the trace back
        elementwise = (x.channels - 1) + 2 + 3 * pairs + 2 * iterations * pairs
        return {name: Line(y.size, (), (products, *[x.channels] * 3), elementwise=elementwise)}


@dataclass(frozen=True)
class Head:
    """The layers between trunk and dense layers."""

    pool: Layers
    reduces: bool = False
    """A 1 × 1 convolution narrows the map before it is pooled."""
    rectifies: bool = True
    """A ReLU follows that convolution."""
    flattens: bool = False
    """The trunk keeps its last max-pool, and the dense layers depend on the side of the images."""
    folded: Mapping[str, Layer] = field(default_factory=dict)
    """Layers that stand in for those of `pool` in a network folded for inference."""

    @property
    def unit_length(self) -> bool:
        """Whether the classifier reads vectors of unit length, which need a far larger learning rate than others."""
        return any(isinstance(layer, UnitLength) for layer in self.pool.values())


_BILINEAR: Layers = {"pooling": BilinearPool(), "root": SignedRoot(), "norm": UnitLength()}
_TRIANGLE: Layers = {"pooling": BilinearPool(triangle=True)}
# A class k of a bilinear classifier scores the mean over positions of xᵀ·W_k·x. With W_k = Uᵀ·diag(a_k)·U, of rank R,
# that is a_k times the mean of (U·x)²: no C × C matrix is made (Kong and Fowlkes 2017, section 3.2). They give each
# class directions of its own, with a_k of ±1, behind a projection that all share (3.3). Here all share R directions,
# and each has its a_k (the factorised product of Kim et al. 2017, of a map with itself). U is the reduction.
_LOW_RANK: Layers = {"square": Square(), "pooling": AveragePool(), "root": SignedRoot(), "norm": UnitLength()}

HEADS: dict[str, Head] = {
    "bilinear": Head(_BILINEAR, folded=_TRIANGLE),
    "average": Head({"pooling": AveragePool()}),
    "flatten": Head({"flatten": Flatten()}, flattens=True),
    "reduced": Head(_BILINEAR, reduces=True, folded=_TRIANGLE),
    "isqrt": Head({"pooling": Covariance(), "root": MatrixRoot()}, reduces=True),
    "low-rank": Head(_LOW_RANK, reduces=True, rectifies=False),
}


def reduction(channels: int, batch_norm: bool, rectifies: bool = True) -> Layers:
    """The 1 × 1 convolution, BN and, where it rectifies, ReLU that narrow a map to `channels` before it is pooled."""
    layers: Layers = {"conv_reduce": Conv(channels, kernel=1, padding=0, bias=not batch_norm)}
    if batch_norm:
        layers["bn_reduce"] = Norm()
    return layers | ({"relu_reduce": ReLU()} if rectifies else {})


REDUCTION = frozenset(reduction(1, batch_norm=True))
"""Names of a reduction's layers: the last of a trunk, but of no pretrained one."""
