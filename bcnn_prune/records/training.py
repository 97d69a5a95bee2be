"""Training histories, epoch by epoch."""

from dataclasses import dataclass, replace

from bcnn_prune.records.measures import Evaluation

NEAR_ZERO = 1e-3
"""A BN scale below it counts as gone to zero. The sub-gradient hovers within some rate·λ / (1 - momentum): 1e-5 by the
thesis' numbers. The proximal step is exact."""


@dataclass(frozen=True)
class SoftPruningEvent:
    """Soft pruning at the end of an epoch: γ and β of the lowest channels to zero. Counted on val images."""

    zeroed: int
    """Channels."""
    before: Evaluation
    after: Evaluation
    jaccard: float | None
    """|A ∩ B| / |A ∪ B| of these channels and those of the zeroing before: 1 where none moved. None for the first."""


@dataclass(frozen=True)
class EpochStats:
    """One epoch of training, as seen at its end. `epoch` counts from 1."""

    epoch: int
    learning_rate: float
    loss: float
    """Mean over the epoch's training images, as augmented, without penalty: cross-entropy, or what distillation makes
    of it."""
    train: Evaluation
    """Counted while training, on augmented images and changing weights."""
    val: Evaluation
    scales_at_zero: float
    """Share of the BN scales that gate prunable channels with |γ| < NEAR_ZERO."""
    seconds: float
    """Wall time of the epoch, validation included."""
    zeroing: SoftPruningEvent | None = None
    """None where nothing was zeroed."""
    label_loss: float | None = None
    """Mean cross-entropy alone, to compare with phases without a teacher; None there, as `loss` is just that."""


@dataclass(frozen=True)
class History:
    """The epochs of one training phase, and the one whose weights were kept."""

    epochs: tuple[EpochStats, ...]
    kept_epoch: int

    @property
    def kept(self) -> EpochStats:
        return self.epochs[self.kept_epoch - 1]

    @property
    def seconds(self) -> float:
        return sum(epoch.seconds for epoch in self.epochs)

    def without_clock(self) -> "History":
        """The history with no time in it."""
        return replace(self, epochs=tuple(replace(epoch, seconds=0.0) for epoch in self.epochs))
