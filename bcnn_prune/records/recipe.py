"""Recipes: one training phase in numbers."""

import math
from dataclasses import dataclass, replace
from typing import Literal

CHOICES = {
    "schedule": ("cosine", "plateau"),
    "keep": ("best", "last"),
    "update": ("subgradient", "proximal"),
    "trains": ("all", "classifier"),
}
"""What fields of a recipe may be."""
AT_LEAST_ZERO = (
    "sparsity",
    "last_sparsity",
    "weight_decay",
    "classifier_weight_decay",
    "scale_weight_decay",
    "patience",
    "lowest_rate",
)
"""Fields of a recipe that may be zero, or None where they may have no value."""


@dataclass(frozen=True)
class Augmentation:
    """Largest changes of a training image, each amount drawn evenly from -amount to +amount for every image."""

    rotation: float = 0.0
    """Degrees."""
    shift: float = 0.0
    """Share of the image side, along each axis."""
    zoom: float = 0.0
    """Relative change of scale."""
    colour: float = 0.0
    """Relative change of brightness, of contrast and of saturation."""
    flip: bool = True
    """Mirror left and right, every second image."""

    def __post_init__(self) -> None:
        for name, limit in (("rotation", math.inf), ("shift", math.inf), ("zoom", 1), ("colour", 1)):
            if not 0 <= getattr(self, name) < limit:
                most = "" if limit == math.inf else f" and less than {limit}"
                raise ValueError(f"{name} is {getattr(self, name)}: take 0 or more{most}")


@dataclass(frozen=True)
class Distillation:
    """Training on a trained network's outputs besides the labels: (1 - w)·CE + w·T²·KL(teacher ‖ student), the mean
    over a batch, with logits over T in both softmaxes (Hinton, Vinyals and Dean 2015)."""

    temperature: float
    """T: the higher, the more the classes that the teacher takes for less probable count."""
    weight: float
    """w, 0 to 1: of the teacher's outputs against the labels."""

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"the temperature of distillation is {self.temperature}: take a positive number")
        if not 0 <= self.weight <= 1:
            raise ValueError(f"the weight of distillation is {self.weight}: take 0 to 1")


@dataclass(frozen=True)
class Recipe:
    """One training phase in numbers."""

    epochs: int
    learning_rate: float
    batch: int
    """Images per step."""
    schedule: Literal["cosine", "plateau"]
    """Cosine to zero over the phase, or × `decay` when val accuracy has not risen for more than `patience` epochs."""
    augment: Augmentation
    keep: Literal["best", "last"] = "best"
    """The epoch whose weights the phase leaves: the best on val, or the last."""
    patience: int = 30
    decay: float = 0.1
    lowest_rate: float = 1e-6
    """The plateau schedule stops here (thesis protocol: 1e-6)."""
    momentum: float = 0.9
    weight_decay: float = 1e-5
    classifier_rate: float = 1.0
    """The classifier's learning rate as a multiple of the trunk's."""
    classifier_weight_decay: float = 1e-5
    sparsity: float = 0.0
    """λ of the L1 penalty on BN scales (Liu et al. 2017, eq. 1)."""
    last_sparsity: float = 0.0
    """λ of the BN of the channels that the head pools, which decide the size of a bilinear classifier."""
    update: Literal["subgradient", "proximal"] = "subgradient"
    """λ·sign(γ) added to the gradient, or soft thresholding after the optimizer's step, which reaches zero exactly."""
    sparsity_share: float = 0.0
    """Share of the scales with L1 that is to be at zero in the end: λ follows from it, and `sparsity` only says how the
    strengths of layers compare. 0: λ is `sparsity` throughout."""
    scale_weight_decay: float | None = None
    """Weight decay of the scales that gate channels, which L1 shrinks, too; None: `weight_decay`, as of all weights."""
    trains: Literal["all", "classifier"] = "all"
    """All parameters; or the classifier alone, on a frozen trunk whose BatchNorms use their running statistics. With it
    what no pretrained trunk has: a head's reduction and hidden dense layers."""
    distillation: Distillation | None = None
    """Weight of a teacher's outputs; None for a phase without a teacher."""

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}: take {' or '.join(choices)}")
        for name in ("epochs", "batch", "learning_rate", "classifier_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}: take a positive number")
        for name in ("epochs", "batch", "patience"):
            if getattr(self, name) % 1:
                raise ValueError(f"{name} is {getattr(self, name)}: take a whole number")
        if not 0 < self.decay < 1:
            raise ValueError(f"decay is {self.decay}: take more than 0 and less than 1")
        for name in AT_LEAST_ZERO:
            if not 0 <= (getattr(self, name) or 0) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}: take zero or more")
        if not 0 <= self.sparsity_share < 1 or (self.sparsity_share and not self.sparsity):
            raise ValueError(
                f"sparsity_share is {self.sparsity_share} with a sparsity of {self.sparsity}: take 0 or more and less "
                "than 1, and a sparsity above 0"
            )
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}: take 0 or more and less than 1")
        if self.trains == "classifier" and (self.sparsity or self.last_sparsity):
            raise ValueError("a phase that trains the classifier alone has no L1 on BN scales: take a sparsity of 0")

    @property
    def without_l1(self) -> "Recipe":
        """The same phase without L1 on BN scales."""
        return replace(self, sparsity=0, last_sparsity=0, sparsity_share=0, scale_weight_decay=None)

    def steps_per_epoch(self, images: int) -> int:
        """Steps over so many images, the last of which may have fewer than a batch."""
        return math.ceil(images / self.batch)

    def learning_rate_sum(self, images: int) -> float:
        """Σ of the trunk's learning rate over all steps of the phase; for a plateau schedule, the most it can be."""
        steps = self.epochs * self.steps_per_epoch(images)
        return self.learning_rate * ((steps + 1) / 2 if self.schedule == "cosine" else steps)


@dataclass(frozen=True)
class SoftPruningSchedule:
    """Schedule by which soft pruning zeroes channels while a phase trains."""

    drop: int
    """Channels that are at zero in the end."""
    floor: int
    """Channels that are spared in every layer."""
    every: int = 1
    """Epochs from one zeroing to the next."""
    ramp: int = 1
    """Epochs over which the number of zeroed channels rises evenly to `drop`; 1 zeroes all from the start."""
    rule: str = "thesis"
    """Ranking of channels of different layers against each other."""
    min_share: float = 0.0
    """Share of each layer that is spared, where that is more than `floor`."""

    def __post_init__(self) -> None:
        for name in ("every", "ramp"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: take 1 or more epochs")


@dataclass(frozen=True)
class WeightPruningSchedule:
    """Schedule by which single weights go to zero while a phase trains."""

    share: float
    """Share of the weights of convolutions and dense layers that are zero in the end."""
    ramp: float = 0.5
    """Part of the phase over which the share rises; the rest trains what is left."""
    rule: str = "lamp"
    """Ranking of weights of different layers against each other."""

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"the share of weights to prune is {self.share}: take 0 or more and less than 1")
        if not 0 < self.ramp <= 1:
            raise ValueError(f"the ramp is {self.ramp}: take more than 0, and at most 1 for the whole phase")
