"""The method: which images a cut looks at, and when it is no result; whether a network has learned, by val, and by the
training images where val is too small to tell."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bcnn_prune import protocol
from bcnn_prune.data.augment import normalised
from bcnn_prune.protocol import Cut, RunAborted, prune, require_learned
from bcnn_prune.pruning.recalibrate import recalibrated
from bcnn_prune.pruning.repair import repaired
from bcnn_prune.records import EpochStats, Evaluation, History
from tests.helpers.contexts import context
from tests.helpers.strategies import TINY, assert_same_network, random_model


def test_a_cut_is_scored_repaired_and_recalibrated_on_training_images(tmp_path: Path) -> None:
    given, model = context(tmp_path), random_model(TINY).float()
    narrow, step = prune(given, model, Cut(10, min_channels=1, recalibrate=16, criterion="fisher", repair=16))
    images = normalised(given.train.take(16, torch.Generator().manual_seed(given.seed)).images)
    expected = repaired(model, step.plan, [images], torch.Generator().manual_seed(given.seed))
    assert_same_network(narrow, recalibrated(expected, [images]))


def test_a_rebuilt_network_that_is_not_the_silenced_one_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "silenced", lambda model, _plan: copy.deepcopy(model))
    model = random_model(replace(TINY, head="average")).float()
    with pytest.raises(RunAborted, match="the rebuilt network differs from the silenced one by"):
        prune(context(tmp_path), model, Cut(10, min_channels=1, recalibrate=0))


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
