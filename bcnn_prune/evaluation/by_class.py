"""Precision, recall and F1 by class, the pairs of classes confused most, and the interval of an accuracy. Loads no
torch."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bcnn_prune.records import ConfusionMatrix, Evaluation

Values = NDArray[np.float64]


@dataclass(frozen=True)
class ClassScores:
    """Scores from 0 to 1 of each class that the split has images of, in the order of `classes`."""

    classes: NDArray[np.int64]
    """Labels, ascending."""
    precision: Values
    """Of the images predicted as the class, the share that is of it; 0 where none was predicted so."""
    recall: Values
    """Of the images of the class, the share predicted as it: the accuracy on the class."""
    f1: Values
    """Harmonic mean of precision and recall; 0 where both are."""
    images: NDArray[np.int64]
    """Images of the class."""

    @property
    def macro(self) -> tuple[float, float, float]:
        """Precision, recall and F1, each as the mean over classes."""
        return float(self.precision.mean()), float(self.recall.mean()), float(self.f1.mean())


def class_scores(matrix: ConfusionMatrix) -> ClassScores:
    """Scores of each class, by scikit-learn."""
    # Here, not at the top: scikit-learn takes a second to import.
    from sklearn.metrics import precision_recall_fscore_support

    classes = np.unique(matrix.true)
    precision, recall, f1, images = precision_recall_fscore_support(
        matrix.true, matrix.predicted, sample_weight=matrix.count, labels=classes, average=None, zero_division=0
    )
    return ClassScores(classes, precision, recall, f1, images.astype(np.int64))


def most_confused(matrix: ConfusionMatrix, pairs: int = 10) -> list[tuple[int, int, int]]:
    """The label, the class that its images were taken for, and how many: most first, equal ones by label and class."""
    return largest_mistakes(matrix.cells, pairs)


def largest_mistakes(cells: Iterable[tuple[int, int, int]], pairs: int) -> list[tuple[int, int, int]]:
    """Of cells of label, predicted class and images the largest beside the diagonal, as `most_confused` lists them."""
    return sorted((cell for cell in cells if cell[0] != cell[1]), key=lambda cell: (-cell[2], *cell))[:pairs]


def wilson_interval(evaluation: Evaluation, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of an accuracy, 0 to 1, over other images of the same kind (Wilson 1927, by SciPy)."""
    from scipy.stats import binomtest  # as late as scikit-learn

    interval = binomtest(evaluation.correct, evaluation.images).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
