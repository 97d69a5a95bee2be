"""Phases: what an epoch and the test images are scored with, and what the seed decides."""

from pathlib import Path

import pytest
import torch

from bcnn_prune.execution import Execution
from bcnn_prune.phase import _zeroed, train_phase
from bcnn_prune.records import Augmentation, Recipe, SoftPruningSchedule, WeightPruningSchedule
from tests.helpers.contexts import context
from tests.helpers.strategies import TINY, random_model

RECIPE = Recipe(1, 0.01, 8, "cosine", Augmentation())


def test_test_counts_are_in_the_weights_own_format(tmp_path: Path) -> None:
    seen, model = set(), random_model(TINY).float()
    model.trunk.register_forward_hook(lambda _module, _inputs, maps: seen.add(maps.dtype))
    context(tmp_path, execution=Execution(torch.bfloat16)).evaluate_test(model)
    assert seen == {torch.float32}


def test_each_seed_shuffles_for_itself(tmp_path: Path) -> None:
    start = random_model(TINY).float()
    first, second = (train_phase(context(tmp_path, seed=seed), "dense", start, RECIPE).model for seed in (0, 1))
    assert not torch.equal(first.classifier.weight, second.classifier.weight)


def test_an_epoch_is_scored_with_all_at_zero_that_is_in_the_end() -> None:
    model = random_model(TINY)
    soft, sparse = (_zeroed(model, given) for given in (SoftPruningSchedule(10, 1), WeightPruningSchedule(0.5)))
    assert sum(int((norm.weight == 0).sum()) for norm in soft.norms.values()) == 10
    weights = torch.cat([weight.flatten() for weight in sparse.parameters() if weight.ndim > 1])
    assert float((weights == 0).double().mean()) == pytest.approx(0.5, abs=1e-3)
