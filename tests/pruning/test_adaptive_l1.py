"""λ that follows from the share of scales to bring to zero: reached without a loss and against one, and resumed."""

from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.pruning.adaptive_l1 import AdaptiveL1, l1_of
from bcnn_prune.pruning.sparsity import ScaleL1, scales
from bcnn_prune.records import NEAR_ZERO, Augmentation, Recipe
from bcnn_prune.spec import ModelSpec
from bcnn_prune.training.state import Penalty, TrainingState
from tests.helpers.strategies import random_model

SPEC = ModelSpec.of("vgg11", 3, 0.125)
IMAGES, STEPS = 80, 20
RECIPE = Recipe(8, 0.02, 4, "cosine", Augmentation(), sparsity=1e-3, last_sparsity=1e-3, update="proximal", keep="last")


def network() -> BilinearCNN:
    model, rng = random_model(SPEC), torch.Generator().manual_seed(0)
    for norm in model.norms.values():
        norm.weight.data = 0.5 + 0.1 * torch.randn(norm.weight.shape, generator=rng)
    return model


def train(model: BilinearCNN, recipe: Recipe, pull: float) -> AdaptiveL1:
    """A phase on γ alone, with a quadratic loss about where each scale starts: steeper for some than for others."""
    l1, parameters = l1_of(model, recipe, IMAGES), [norm.weight for norm in model.norms.values()]
    assert isinstance(l1, AdaptiveL1)
    assert isinstance(l1, Penalty)
    optimizer = SGD(parameters, recipe.learning_rate, recipe.momentum)
    schedule = CosineAnnealingLR(optimizer, recipe.epochs * STEPS)
    rng = torch.Generator().manual_seed(1)
    loss = [(p.detach().clone(), pull * torch.randn(p.shape, generator=rng).exp()) for p in parameters]
    for epoch in range(1, recipe.epochs + 1):
        for _ in range(STEPS):
            rate = optimizer.param_groups[0]["lr"]
            for parameter, (start, steepness) in zip(parameters, loss, strict=True):
                parameter.grad = steepness * (parameter.detach() - start)
            l1.before_step()
            optimizer.step()
            l1.after_step(rate)
            if recipe.schedule == "cosine":
                schedule.step()
        l1.after_epoch(epoch)
    return l1


def at_zero(model: BilinearCNN) -> float:
    return float((torch.cat(list(scales(model).values())) < NEAR_ZERO).double().mean())


@pytest.mark.parametrize(
    ("schedule", "pull"), [("cosine", 0.0), ("cosine", 0.01), ("cosine", 0.3), ("plateau", 0.0), ("plateau", 0.01)]
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_the_share_is_reached_when_the_phase_ends(
    schedule: Literal["cosine", "plateau"], pull: float, share: float
) -> None:
    model = network()
    train(model, replace(RECIPE, schedule=schedule, sparsity_share=share), pull)
    assert at_zero(model) == pytest.approx(share, abs=0.05)


def test_from_a_strength_of_zero_it_rises_again() -> None:
    """Where all that is wanted is at zero at first, and comes back."""
    model = network()
    for norm in model.norms.values():
        norm.weight.data.zero_()
    l1 = l1_of(model, replace(RECIPE, sparsity_share=0.5), IMAGES)
    assert isinstance(l1, AdaptiveL1)
    l1.after_step(0.02)
    l1.after_epoch(1)
    assert l1.strength == 0
    for norm in model.norms.values():
        norm.weight.data.fill_(0.3)
    l1.after_step(0.02)
    l1.after_epoch(2)
    assert l1.strength > 0


def test_layers_keep_the_ratio_of_their_strengths() -> None:
    model = network()
    l1 = l1_of(model, replace(RECIPE, sparsity_share=0.5, last_sparsity=4e-3), IMAGES)
    assert isinstance(l1, AdaptiveL1)
    before = {layer: norm.weight.detach().clone() for layer, norm in model.norms.items()}
    l1.after_step(1e-3)
    moved = {layer: float((before[layer] - norm.weight.detach()).max()) for layer, norm in model.norms.items()}
    last, *others = reversed(moved.values())
    assert others == pytest.approx([last / 4] * len(others), rel=1e-3)


@pytest.mark.parametrize("update", ["subgradient", "proximal"])
def test_it_acts_on_every_scale_by_either_update(update: str) -> None:
    model = network()
    l1 = l1_of(model, replace(RECIPE, sparsity_share=0.5, update=update), IMAGES)  # type: ignore[arg-type]
    before = [norm.weight.detach().clone() for norm in model.norms.values()]
    for norm in model.norms.values():
        norm.weight.grad = torch.zeros_like(norm.weight)
    l1.before_step()
    l1.after_step(0.1)
    for norm, old in zip(model.norms.values(), before, strict=True):
        assert norm.weight.grad is not None
        assert bool(norm.weight.grad.any()) == (update == "subgradient")
        assert torch.equal(norm.weight, old) == (update == "subgradient")


def test_a_resumed_phase_goes_on_with_the_same_strength() -> None:
    model, recipe = network(), replace(RECIPE, sparsity_share=0.5)
    l1, resumed = (l1_of(model, recipe, IMAGES) for _ in range(2))  # as in `fit`, before the state is loaded
    assert isinstance(l1, AdaptiveL1)
    assert isinstance(resumed, AdaptiveL1)
    for epoch in (1, 2):
        l1.after_step(0.02)
        l1.after_epoch(epoch)
    resumed.load_state_dict(l1.state_dict())
    for one in (l1, resumed):
        one.after_step(0.0)
        one._rates = 0.01
        one.after_epoch(3)
    assert resumed.strength == l1.strength


def test_without_a_share_the_penalty_is_that_of_the_recipe() -> None:
    assert isinstance(l1_of(network(), RECIPE, IMAGES), ScaleL1)
    with pytest.raises(ValueError, match=r"sparsity_share is 0.5 with a sparsity of 0.0"):
        replace(RECIPE, sparsity=0.0, last_sparsity=0.0, sparsity_share=0.5)


def test_scales_have_a_weight_decay_of_their_own() -> None:
    model, l1 = network(), ScaleL1((), "proximal", 0.9)
    whole = TrainingState.start(model, RECIPE, l1, IMAGES).optimizer.param_groups
    apart = TrainingState.start(model, replace(RECIPE, scale_weight_decay=0.0), l1, IMAGES).optimizer.param_groups
    decay = {id(parameter): group["weight_decay"] for group in apart for parameter in group["params"]}
    assert set(decay) == {id(parameter) for group in whole for parameter in group["params"]}
    gated = {id(norm.weight) for norm in model.norms.values()}
    assert {key for key, value in decay.items() if value == 0} == gated
    assert apart[0]["lr"] == RECIPE.learning_rate
