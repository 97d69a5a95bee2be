"""Single weights at zero: the smallest by rank, at once or on the cubic schedule of a phase."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bcnn_prune.compression.sparse import GradualPruning, largest, magnitude_pruned, weights_of
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.pruning.sparsity import ScaleL1
from bcnn_prune.records import Augmentation, Recipe, WeightPruningSchedule
from tests.helpers.strategies import TINY, random_model

RECIPE = Recipe(4, 0.1, 2, "cosine", Augmentation())
IMAGES = 20  # 40 steps


def zeros(model: BilinearCNN) -> float:
    weights = torch.cat([weight.flatten() for weight in weights_of(model).values()])
    return float((weights == 0).double().mean())


@settings(max_examples=20)
@given(st.floats(0, 0.99), st.sampled_from(["raw", "lamp", "rank"]))
def test_so_large_a_share_goes_and_of_each_layer_the_smallest(share: float, rule: str) -> None:
    model = random_model(TINY)
    pruned = magnitude_pruned(model, share, rule)
    total = sum(weight.numel() for weight in weights_of(model).values())
    assert zeros(pruned) == round(share * total) / total
    for name, weight in weights_of(model).items():
        gone = weights_of(pruned)[name] == 0
        if gone.any() and not gone.all():
            assert weight[gone].abs().max() <= weight[~gone].abs().min()
    if rule == "rank":
        assert all(
            abs(float((weight == 0).double().mean()) - share) <= 1 / weight.numel()
            for weight in weights_of(pruned).values()
        )


def test_a_phase_follows_the_cubic_schedule_and_resumes_on_it() -> None:
    model = random_model(TINY)
    draws = torch.Generator().manual_seed(0)

    def penalty() -> GradualPruning:
        l1 = ScaleL1.of(model, RECIPE)
        return GradualPruning(model, l1, WeightPruningSchedule(0.9, ramp=0.5), RECIPE, IMAGES)

    acting, found = penalty(), []
    for step in range(1, 41):
        if step == 13:  # as after an interruption
            state, acting = acting.state_dict(), penalty()
            acting.load_state_dict(state)
        with torch.no_grad():
            for weight in weights_of(model).values():
                weight.add_(0.01 * torch.randn(weight.shape, generator=draws, dtype=weight.dtype))
        acting.after_step(0.1)
        found.append(zeros(model))
    assert found == pytest.approx([0.9 * (1 - (1 - min(1, step / 20)) ** 3) for step in range(1, 41)], abs=2e-3)
    kept = largest(model, 0.9)
    assert all(torch.equal(weights_of(model)[name] != 0, stays) for name, stays in kept.items())


def test_shares_beyond_all_weights_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the share of weights to prune is 1.0: take 0 or more and less than 1"):
        magnitude_pruned(random_model(TINY), 1.0)
    with pytest.raises(ValueError, match="the ramp is 0: take more than 0"):
        WeightPruningSchedule(0.5, ramp=0)
