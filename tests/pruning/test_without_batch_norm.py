"""A network without BatchNorm has no γ: what needs one refuses in one line, and what does not goes on."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.absorb import absorbed, with_constant_channels
from bcnn_prune.pruning.importance import CRITERIA
from bcnn_prune.pruning.ranking import keep_highest
from bcnn_prune.pruning.recalibrate import recalibrated
from bcnn_prune.pruning.soft import SoftPruning
from bcnn_prune.pruning.sparsity import ScaleL1, l1_shortfall
from bcnn_prune.pruning.surgery import rebuild, silenced
from bcnn_prune.records import Augmentation, Evaluation, Recipe, SoftPruningSchedule
from tests.helpers.strategies import TINY, random_images, random_model

WITHOUT = replace(TINY, batch_norm=False)
PLAIN = Recipe(epochs=1, learning_rate=0.1, batch=1, schedule="cosine", augment=Augmentation())
KEEP_ALL = ChannelPlan.keep_all(WITHOUT)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda model: CRITERIA["bn-scale"](model, [], rng()), "bn-scale .* take filter-norm, fisher or random"),
        (lambda model: CRITERIA["taylor"](model, [], rng()), "taylor .* take filter-norm, fisher or random"),
        (lambda model: ScaleL1.of(model, replace(PLAIN, sparsity=0.01)), "L1 .* take a recipe whose sparsity"),
        (lambda model: ScaleL1.of(model, replace(PLAIN, last_sparsity=0.01)), "L1 .* take a recipe whose sparsity"),
        (lambda model: l1_shortfall(model, replace(PLAIN, sparsity=0.01), 8, 0.5), "sparse training"),
        (lambda model: absorbed(model, KEEP_ALL), "absorbing .* take the plain cut"),
        (lambda model: with_constant_channels(model, KEEP_ALL), "emits .* take silenced"),
        (
            lambda model: SoftPruning(
                model, ScaleL1.of(model, PLAIN), SoftPruningSchedule(2, 1), lambda _: Evaluation(4, 2)
            ),
            "soft pruning .* take one-shot",
        ),
    ],
)
def test_what_needs_batch_norm_says_so_and_what_to_take_instead(use, what: str) -> None:
    with pytest.raises(ValueError, match=what) as refusal:
        use(random_model(WITHOUT))
    assert "needs BatchNorm, and this network has none: take " in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("criterion", ["filter-norm", "random"])
def test_other_criteria_cut_it_and_the_rebuilt_network_is_the_silenced_one(criterion: str) -> None:
    model, images = random_model(WITHOUT), random_images(4)
    plan = keep_highest(CRITERIA[criterion](model, [], rng()), drop=10, min_channels=1)
    narrow = rebuild(model, plan)
    assert WITHOUT.channels - narrow.spec.channels == 10
    assert_close(narrow(images), silenced(model, plan)(images))
    assert_close(recalibrated(narrow, [images])(images), narrow(images))  # it has no statistics to average anew


def test_without_l1_it_is_trained_like_any_other() -> None:
    assert ScaleL1.of(random_model(WITHOUT), PLAIN).strengths == ()
