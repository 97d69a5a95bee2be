"""A confusion matrix, stored sparsely."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from bcnn_prune.records.measures import Evaluation


@dataclass(frozen=True)
class ConfusionMatrix:
    """Images of one split by true and predicted class: the cells that hold any, row by row.

    Raises ValueError for cells out of order or empty, and for a top-5 count that cannot be."""

    true: tuple[int, ...]
    """Row of each cell: the label of its images."""
    predicted: tuple[int, ...]
    """Column of each cell: the class of their largest logit."""
    count: tuple[int, ...]
    """Images in each cell."""
    in_top_5: int
    """Images whose label is among the five largest logits: all of them where there are no more classes."""

    def __post_init__(self) -> None:
        if not len(self.true) == len(self.predicted) == len(self.count):
            raise ValueError("a confusion matrix has as many true classes as predicted ones and counts")
        if min((0, *self.true, *self.predicted)) < 0 or min(self.count, default=0) < 1:
            raise ValueError("a confusion matrix has a negative class, or a cell without images")
        if any(cell >= after for cell, after in pairwise(zip(self.true, self.predicted, strict=True))):
            raise ValueError("the cells of a confusion matrix are not in order")
        if not self.evaluation.correct <= self.in_top_5 <= self.evaluation.images:
            raise ValueError(f"{self.in_top_5} in the top 5 cannot be, with {self.evaluation}")

    @property
    def cells(self) -> Iterator[tuple[int, int, int]]:
        """Label, predicted class and images of each cell."""
        return zip(self.true, self.predicted, self.count, strict=True)

    @property
    def evaluation(self) -> Evaluation:
        """Top-1 counts: the diagonal, and all."""
        return Evaluation(sum(self.count), sum(count for true, predicted, count in self.cells if true == predicted))
