"""Whether a network has learned: by val, and by the training images where val is too small to tell."""

import pytest

from bcnn_prune.protocol import RunAborted, require_learned
from bcnn_prune.records import EpochStats, Evaluation, History


def history(train: tuple[int, int], val: tuple[int, int]) -> History:
    """Of one epoch, from images and correct ones."""
    return History((EpochStats(1, 0.01, 1.0, Evaluation(*train), Evaluation(*val), 0.0, 1.0),), 1)


@pytest.mark.parametrize(
    ("classes", "train", "val"),
    [
        pytest.param(50, (1000, 100), (140, 20), id="val tells"),
        pytest.param(50, (1000, 20), (140, 20), id="val tells, whatever the changing weights did on train"),
        pytest.param(3, (9, 9), (3, 1), id="three images tell nothing, train does"),
        pytest.param(3, (9, 9), (3, 0), id="nor does none of three"),
    ],
)
def test_a_network_has_learned(classes: int, train: tuple[int, int], val: tuple[int, int]) -> None:
    require_learned(history(train, val), classes, "dense")


@pytest.mark.parametrize(
    ("classes", "train", "val"),
    [
        pytest.param(50, (1000, 20), (140, 3), id="chance on both"),
        pytest.param(50, (1000, 1000), (500, 10), id="learned by heart: val is large enough to tell"),
        pytest.param(3, (9, 3), (3, 1), id="chance on a few"),
    ],
)
def test_a_network_has_not_learned(classes: int, train: tuple[int, int], val: tuple[int, int]) -> None:
    accuracies = (
        f"val accuracy {val[1] / val[0]:.3f} of {val[0]} images, train accuracy {train[1] / train[0]:.3f}, chance"
    )
    with pytest.raises(RunAborted, match=f"the dense phase has not learned: {accuracies}"):
        require_learned(history(train, val), classes, "dense")
