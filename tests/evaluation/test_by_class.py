"""Scores by class, against scikit-learn on single images and against counting by hand."""

from collections import Counter

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.evaluation.by_class import class_scores, most_confused, wilson_interval
from bcnn_prune.records import ConfusionMatrix, Evaluation

answers = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=60)


def matrix(answers: list[tuple[int, int]]) -> ConfusionMatrix:
    counts = sorted(Counter(answers).items())
    true, predicted = zip(*(cell for cell, _ in counts), strict=True)
    return ConfusionMatrix(true, predicted, tuple(count for _, count in counts), len(answers))


@given(answers)
def test_scores_are_those_of_scikit_learn_image_by_image(drawn: list[tuple[int, int]]) -> None:
    true, predicted = (np.array(labels) for labels in zip(*drawn, strict=True))
    found, present = class_scores(matrix(drawn)), np.unique(true)
    assert found.classes.tolist() == present.tolist()
    assert found.images.tolist() == [int((true == label).sum()) for label in present]
    told = {"average": None, "labels": present, "zero_division": 0}
    np.testing.assert_allclose(found.precision, sklearn.metrics.precision_score(true, predicted, **told))
    np.testing.assert_allclose(found.recall, sklearn.metrics.recall_score(true, predicted, **told))
    np.testing.assert_allclose(found.f1, sklearn.metrics.f1_score(true, predicted, **told))
    np.testing.assert_allclose(found.recall, [(predicted[true == label] == label).mean() for label in present])
    assert found.macro[1] == pytest.approx(found.recall.mean())


@given(answers, st.integers(1, 5))
def test_the_most_confused_are_the_largest_cells_beside_the_diagonal(drawn: list[tuple[int, int]], pairs: int) -> None:
    wrong = Counter((true, predicted) for true, predicted in drawn if true != predicted)
    found = most_confused(matrix(drawn), pairs)
    assert [count for *_, count in found] == sorted(wrong.values(), reverse=True)[:pairs]
    assert all(wrong[true, predicted] == count for true, predicted, count in found)


@pytest.mark.parametrize(("correct", "images", "low", "high"), [(81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611)])
def test_an_interval_is_the_published_one(correct: int, images: int, low: float, high: float) -> None:
    """Newcombe 1998, table I, method 3."""
    assert wilson_interval(Evaluation(images, correct)) == pytest.approx((low, high), abs=5e-5)
