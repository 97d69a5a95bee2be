"""How much a network loses when one layer alone is cut: values, as a run's record holds them. Knows no torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from bcnn_prune.records.measures import Evaluation


@dataclass(frozen=True)
class Sensitivity:
    """Val counts of a network with one layer alone cut to some width, BN statistics recomputed, nothing trained."""

    criterion: str
    """Decides which channels of a layer stay."""
    whole: Evaluation
    """Nothing cut."""
    widths: Mapping[str, tuple[int, ...]]
    """By layer, ascending, all of them narrower than it is."""
    correct: Mapping[str, tuple[int, ...]]
    """Val images that are right at each of these widths."""

    def losses(self, layer: str) -> tuple[float, ...]:
        """Accuracy that each width of a layer costs, 0 to 1; below 0 where the cut network is better."""
        return tuple((self.whole.correct - correct) / self.whole.images for correct in self.correct[layer])
