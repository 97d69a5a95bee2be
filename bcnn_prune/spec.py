"""The shape of a network in plain numbers: VGG depths, layer names, channel widths.

Knows no torch: cost, plans and tables are arithmetic on it."""

from dataclasses import dataclass
from typing import Literal, assert_never, get_args

# Convolutions in each of the five stages (Simonyan and Zisserman 2015, table 1: A, B, D, E).
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
STAGE_WIDTHS = (64, 128, 256, 512, 512)

Head = Literal["bilinear", "average"]
"""What becomes of a C × H × W feature map: the C² averages of its channels' products, or its C averages. Whoever asks
for it ends in `assert_never`: where it gains a value, mypy names all who are still to learn of it."""


@dataclass(frozen=True)
class ModelSpec:
    """A VGG trunk with BatchNorm, without its last max-pool, under a bilinear classifier (thesis 3.2).

    `widths` holds the output channels of every convolution in order; the classifier reads the square of the last.
    The thesis' comparisons (table 4.3) have an average in place of the bilinear pooling, or no BatchNorm."""

    depth: int
    widths: tuple[int, ...]
    classes: int
    head: Head = "bilinear"
    batch_norm: bool = True

    def __post_init__(self) -> None:
        if self.depth not in STAGES:
            raise ValueError(f"depth {self.depth} is not a VGG: take one of {', '.join(map(str, STAGES))}")
        if len(self.widths) != sum(STAGES[self.depth]):
            raise ValueError(f"VGG-{self.depth} has {sum(STAGES[self.depth])} convolutions, not {len(self.widths)}")
        if min(self.widths) < 1:
            raise ValueError(
                f"every layer needs a channel: {self.layers[self.widths.index(min(self.widths))]} has none"
            )
        if self.head not in get_args(Head):
            raise ValueError(f"no head {self.head}: take {' or '.join(get_args(Head))}")
        if self.classes < 2:
            raise ValueError(f"a classifier tells at least 2 classes apart, not {self.classes}")

    @classmethod
    def vgg(cls, depth: int, classes: int, width: float = 1.0) -> "ModelSpec":
        """The unpruned network, every layer `width` times as wide as published (rounded, at least one channel)."""
        if depth not in STAGES:
            raise ValueError(f"depth {depth} is not a VGG: take one of {', '.join(map(str, STAGES))}")
        if not 0 < width < float("inf"):
            raise ValueError(f"width {width} leaves no channel: take a positive factor, 1 for the published network")
        stages = zip(STAGES[depth], STAGE_WIDTHS, strict=True)
        return cls(depth, tuple(max(1, round(c * width)) for convs, c in stages for _ in range(convs)), classes)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the convolutions, as the VGG paper counts them: conv1_1 … conv5_3."""
        return tuple(
            f"conv{stage}_{i}" for stage, convs in enumerate(STAGES[self.depth], 1) for i in range(1, convs + 1)
        )

    @property
    def pooled_layers(self) -> frozenset[str]:
        """The layers that a 2 × 2 max-pool follows: the last of each stage but the fifth, whose pool the BCNN drops."""
        return frozenset(f"conv{stage}_{convs}" for stage, convs in enumerate(STAGES[self.depth][:-1], 1))

    @property
    def width_of(self) -> dict[str, int]:
        """Output channels by layer name."""
        return dict(zip(self.layers, self.widths, strict=True))

    @property
    def features(self) -> int:
        """Inputs of the classifier."""
        match self.head:
            case "bilinear":
                return self.widths[-1] ** 2
            case "average":
                return self.widths[-1]
            case _:
                assert_never(self.head)

    @property
    def channels(self) -> int:
        """All prunable channels, one BatchNorm scale each (4,224 for VGG-16)."""
        return sum(self.widths)

    def require_batch_norm(self, what: str, instead: str) -> None:
        """Raise ValueError where there is no BatchNorm, naming what needs it and what to take instead."""
        if not self.batch_norm:
            raise ValueError(f"{what} needs BatchNorm, and this network has none: take {instead}")
