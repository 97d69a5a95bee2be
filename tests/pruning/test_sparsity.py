"""L1 on BN scales: both update rules against what they are defined as, and their bound."""

from dataclasses import replace

import pytest
import torch
from torch.optim import SGD

from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.pruning.importance import CRITERIA
from bcnn_prune.pruning.sparsity import ScaleL1, l1_shortfall, max_l1_shift, scales
from bcnn_prune.records import Augmentation, Recipe
from bcnn_prune.spec import ModelSpec
from tests.helpers.strategies import TINY, random_model


def recipe(update: str, momentum: float = 0.9) -> Recipe:
    return Recipe(
        epochs=1,
        learning_rate=0.1,
        batch=1,
        schedule="cosine",
        augment=Augmentation(),
        momentum=momentum,
        sparsity=0.01,
        last_sparsity=0.05,
        update=update,  # type: ignore[arg-type]
    )


def train_on_l1_alone(model: BilinearCNN, recipe: Recipe, steps: int) -> None:
    """Steps of rate 0.1 with no loss at all."""
    optimizer = SGD(model.parameters(), lr=0.1, momentum=recipe.momentum)
    penalty = ScaleL1.of(model, recipe)
    for _ in range(steps):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        penalty.before_step()
        optimizer.step()
        penalty.after_step(0.1)


def test_the_subgradient_adds_lambda_sign_to_the_gradient_of_the_penalty_alone() -> None:
    model = random_model(TINY)
    norms = list(model.norms.values())
    with torch.no_grad():
        norms[0].weight[:] = torch.tensor([-0.3, 0.0, 0.7])
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    ScaleL1.of(model, recipe("subgradient")).before_step()
    penalty = sum(norm.weight.abs().sum() * (0.05 if norm is norms[-1] else 0.01) for norm in norms)
    expected = torch.autograd.grad(penalty, [norm.weight for norm in norms])
    for norm, gradient in zip(norms, expected, strict=True):
        assert torch.equal(norm.weight.grad, gradient)
    assert all(not p.grad.any() for name, p in model.named_parameters() if "bn" not in name or name.endswith("bias"))


def test_the_proximal_step_minimises_distance_plus_penalty() -> None:
    """Its definition: argmin over z of (z - γ)²/2 + t·|z|, looked for on a grid."""
    model = random_model(TINY)
    before = {layer: norm.weight.detach().clone() for layer, norm in model.norms.items()}
    ScaleL1.of(model, recipe("proximal", momentum=0.0)).after_step(learning_rate=2.0)
    grid = torch.linspace(-2, 2, 40_001, dtype=torch.float64)
    for layer, norm in model.norms.items():
        step = 2.0 * (0.05 if layer == TINY.layers[-1] else 0.01)
        for old, new in zip(before[layer], norm.weight.detach(), strict=True):
            best = grid[((grid - old) ** 2 / 2 + step * grid.abs()).argmin()]
            assert abs(float(new - best)) <= 1e-4


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("update", ["subgradient", "proximal"])
def test_both_rules_move_a_scale_as_far_as_the_bound_says(update: str, momentum: float) -> None:
    """With no loss at all, λ·Σlr/(1 - momentum) is what L1 moves a scale by, but for momentum's start."""
    model = random_model(TINY)
    phase = recipe(update, momentum)
    with torch.no_grad():
        for norm in model.norms.values():
            norm.weight.fill_(50.0)
    train_on_l1_alone(model, phase, steps=400)
    for layer, values in scales(model).items():
        strength = phase.last_sparsity if layer == TINY.layers[-1] else phase.sparsity
        moved, bound = 50 - float(values[0]), max_l1_shift(strength, 400 * 0.1, momentum)
        assert 0.95 * bound < moved <= bound + 1e-9


@pytest.mark.parametrize("update", ["subgradient", "proximal"])
def test_a_frozen_scale_is_not_penalised(update: str) -> None:
    model = random_model(TINY)
    frozen, *others = (norm.weight for norm in model.norms.values())
    before = [scale.detach().clone() for scale in (frozen, *others)]
    frozen.requires_grad_(False)
    penalty = ScaleL1.of(model, recipe(update))
    for scale in others:
        scale.grad = torch.zeros_like(scale)
    penalty.before_step()
    penalty.after_step(0.1)
    assert torch.equal(frozen, before[0])
    assert frozen.grad is None
    assert all(scale.grad.any() or not torch.equal(scale, old) for scale, old in zip(others, before[1:], strict=True))


def test_only_the_proximal_step_reaches_zero_exactly() -> None:
    for update, exact in (("proximal", True), ("subgradient", False)):
        model = random_model(TINY)
        train_on_l1_alone(model, recipe(update, 0.0), steps=1200)
        values = torch.cat(list(scales(model).values()))
        assert values.max() < 0.01
        assert bool((values == 0).all()) == exact


def test_scores_are_magnitudes_without_gradient() -> None:
    model = random_model(TINY)
    with torch.no_grad():
        model.norms["conv1_1"].weight[:] = torch.tensor([-2.0, 0.5, 0.0])
    scores = CRITERIA["bn-scale"](model, [], torch.Generator())
    assert list(scores) == list(TINY.layers)
    assert scores["conv1_1"].tolist() == [2.0, 0.5, 0.0]
    assert not any(values.requires_grad for values in scores.values())


@pytest.mark.parametrize("last", [0, 0.05])
def test_l1_that_could_act_on_nothing_is_refused(last: float) -> None:
    """Of a model whose scales are all frozen, and of a pooled layer that has no BatchNorm to be the only one with λ."""
    frozen = random_model(TINY, 0)
    for norm in frozen.norms.values():
        norm.weight.requires_grad_(False)
    with pytest.raises(ValueError, match="L1 has no BN scale to act on"):
        ScaleL1.of(frozen, replace(recipe("proximal"), last_sparsity=last))
    student = BilinearCNN(ModelSpec.of("student", 3, 0.1, "average"))
    assert student.spec.pooled not in student.norms
    with pytest.raises(ValueError, match="L1 has no BN scale to act on"):
        ScaleL1.of(student, replace(recipe("proximal"), sparsity=0, last_sparsity=0.05))
    assert ScaleL1.of(student, recipe("proximal")).strengths


def test_l1_that_cannot_bring_as_many_scales_to_zero_is_told() -> None:
    """The last layer has no λ, and so stays."""
    model, told = random_model(TINY), replace(recipe("subgradient"), last_sparsity=0.0)
    reach = max_l1_shift(told.sparsity, told.learning_rate_sum(8), told.momentum)
    for norm in model.norms.values():
        norm.weight.data.fill_(0.9 * reach)
    share = 1 - TINY.widths[-1] / TINY.channels
    assert l1_shortfall(model, told, 8, share - 0.01) is None
    assert "will not reach zero" in str(l1_shortfall(model, told, 8, share + 0.01))
    next(iter(model.norms.values())).weight.data.fill_(1.1 * reach)
    assert l1_shortfall(model, told, 8, share - 0.01) is not None
