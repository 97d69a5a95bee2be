"""Single weights at zero: the smallest by rank, at once or on the cubic schedule of a phase."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bcnn_prune.compression.sparse import GradualPruning, largest, magnitude_pruned, nonzero_macs, weights_of
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


@pytest.mark.parametrize("forms", [{}, {"conv2_1": ("separable", 0), "conv3_1": ("low-rank", 2)}])
def test_multiply_adds_by_zeros_are_left_out(forms: dict[str, tuple[str, int]]) -> None:
    model = random_model(TINY.with_forms(forms))
    images = torch.zeros(1, 3, 32, 32, dtype=model.classifier.weight.dtype)
    products = model.macs(32) - counted(model, images)
    assert nonzero_macs(model, 32) == model.macs(32)
    pruned = magnitude_pruned(model, 0.7)
    assert nonzero_macs(pruned, 32) == products + counted(pruned, images) < 0.9 * model.macs(32)


def counted(model: BilinearCNN, images: torch.Tensor) -> int:
    """Weights that are not zero, each by the places where it is used, as hooks see them."""
    found = 0

    def add(module: torch.nn.Module, _: object, made: torch.Tensor) -> None:
        nonlocal found
        found += int(module.get_parameter("weight").count_nonzero()) * made[0, 0].numel()

    layers = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    model.eval()(images)
    for hook in hooks:
        hook.remove()
    return found


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


def test_zeros_stay_whatever_training_does_and_layers_are_ranked_by_the_rule() -> None:
    model, draws = random_model(TINY), torch.Generator().manual_seed(0)
    schedule = WeightPruningSchedule(0.9, ramp=0.5, rule="rank")
    acting = GradualPruning(model, ScaleL1.of(model, RECIPE), schedule, RECIPE, IMAGES)
    gone = {name: weight == 0 for name, weight in weights_of(model).items()}
    for _ in range(40):
        with torch.no_grad():
            for weight in weights_of(model).values():
                weight.add_(torch.randn(weight.shape, generator=draws, dtype=weight.dtype))
        acting.after_step(0.1)
        assert all((weights_of(model)[name] == 0)[mask].all() for name, mask in gone.items())
        gone = {name: weight == 0 for name, weight in weights_of(model).items()}
    for weight in weights_of(model).values():
        assert abs(float((weight == 0).double().mean()) - 0.9) <= 1 / weight.numel() + 1e-9


@pytest.mark.parametrize(("ramp", "epoch"), [(0.01, 1), (0.5, 2), (0.6, 3), (1, 4)])
def test_it_is_settled_by_the_epoch_that_ends_with_the_whole_share(ramp: float, epoch: int) -> None:
    """Of 10 steps each."""
    model = random_model(TINY)
    acting = GradualPruning(model, ScaleL1.of(model, RECIPE), WeightPruningSchedule(0.9, ramp), RECIPE, IMAGES)
    assert acting.settled == epoch
    ends = []
    for step in range(1, 41):
        acting.after_step(0.1)
        if step % 10 == 0:
            ends.append(zeros(model) > 0.899)
    assert ends.index(True) + 1 == epoch


def test_shares_beyond_all_weights_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the share of weights to prune is 1.0: take 0 or more and less than 1"):
        magnitude_pruned(random_model(TINY), 1.0)
    with pytest.raises(ValueError, match="the ramp is 0: take more than 0"):
        WeightPruningSchedule(0.5, ramp=0)
