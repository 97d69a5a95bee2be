"""Criteria against what they stand for: what the loss does when a channel goes, what BN makes of a filter's size."""

from dataclasses import replace
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.fisher import divergence_without, fisher_scores
from bcnn_prune.pruning.importance import CRITERIA, Batches, _signs, taylor, with_blocks
from bcnn_prune.pruning.surgery import silenced
from bcnn_prune.spec import ModelSpec
from tests.helpers.strategies import TINY, random_images, random_model

SEEDS = st.integers(0, 2**32 - 1)


def batches(count: int = 2) -> Batches:
    images = random_images(4 * count)
    labels = torch.arange(len(images)) % TINY.classes
    return list(zip(images.split(4), labels.split(4), strict=True))


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_scores_every_channel_and_leaves_the_model_alone(criterion: str) -> None:
    for model in (random_model(TINY).train(), random_model(TINY)):
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        scores = CRITERIA[criterion](model, batches(), draws())
        assert {layer: len(values) for layer, values in scores.items()} == TINY.width_of
        assert list(scores) == list(TINY.layers)
        assert all(bool((values >= 0).all()) for values in scores.values())
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, before[name]), name
        assert all(parameter.grad is None for parameter in model.parameters())


def test_taylor_is_the_squared_change_of_the_loss_for_a_gate_that_closes_a_little() -> None:
    """The oracle multiplies γ and β by a gate of 1 ± ε and takes the difference of the losses."""
    model, ((images, labels), *_) = random_model(TINY), batches(1)
    scores = taylor(model, [(images, labels)], draws())
    step = 1e-6
    for layer, channel in (("conv1_1", 1), ("conv3_2", 0), ("conv5_2", 4)):
        norm, losses = model.norms[layer], []
        weight, bias = norm.weight.detach().clone(), norm.bias.detach().clone()
        for gate in (1 + step, 1 - step):
            norm.weight.data[channel], norm.bias.data[channel] = weight[channel] * gate, bias[channel] * gate
            losses.append(F.cross_entropy(model(images), labels).item())
        norm.weight.data[channel], norm.bias.data[channel] = weight[channel], bias[channel]
        expected = ((losses[0] - losses[1]) / (2 * step)) ** 2
        assert float(scores[layer][channel]) == pytest.approx(expected, rel=1e-3, abs=0)


@pytest.mark.parametrize("criterion", ["taylor", "fisher", "fisher-head"])
def test_scores_of_batches_add_up(criterion: str) -> None:
    model, both, rng, again = random_model(TINY), batches(2), draws(), draws()
    whole, parts = CRITERIA[criterion](model, both, rng), [CRITERIA[criterion](model, [one], again) for one in both]
    for layer, values in whole.items():
        assert_close(values, parts[0][layer] + parts[1][layer], rtol=1e-5, atol=0)
    if criterion == "fisher-head":
        plain = CRITERIA["fisher"](model, both, draws())
        expected = {**plain, TINY.pooled: divergence_without(model, random_images(8))}
        assert all(torch.allclose(whole[layer], expected[layer]) for layer in TINY.layers)


def test_fishers_labels_are_drawn_as_signs() -> None:
    assert set(_signs(random_model(TINY), random_images(4), draws()).unique().tolist()) == {-1, 1}


def test_fisher_is_what_labels_drawn_from_the_prediction_give() -> None:
    """The oracle goes through every label and image, by its probability, and differentiates by a finite step."""
    model, images = random_model(TINY), random_images(2)
    every = torch.tensor(list(product((-1.0, 1.0), repeat=TINY.classes)))  # their average is the expectation
    scores = fisher_scores(model, images, every[:, None].expand(-1, len(images), -1))
    step = 1e-6
    for layer, channel in (("conv1_1", 1), ("conv3_2", 0), ("conv5_2", 4)):
        norm, logs = model.norms[layer], []
        weight, bias = norm.weight.detach().clone(), norm.bias.detach().clone()
        for gate in (1 + step, 1 - step):
            norm.weight.data[channel], norm.bias.data[channel] = weight[channel] * gate, bias[channel] * gate
            logs.append(model(images).log_softmax(dim=1).detach())
        norm.weight.data[channel], norm.bias.data[channel] = weight[channel], bias[channel]
        slopes = (logs[0] - logs[1]) / (2 * step)
        expected = float((logs[0].exp() * slopes.square()).sum()) / 2
        assert float(scores[layer][channel]) == pytest.approx(expected, rel=1e-3, abs=0)


@pytest.mark.parametrize("spec", [TINY, replace(TINY, head="average"), replace(TINY, batch_norm=False)])
def test_the_last_layer_is_scored_by_what_silencing_a_channel_does(spec: ModelSpec) -> None:
    model, images = random_model(spec), random_images(3)
    scores = divergence_without(model, images)
    logs, last = model(images).log_softmax(dim=1).detach(), spec.layers[-1]
    for channel in range(spec.widths[-1]):
        kept = {**ChannelPlan.keep_all(spec).kept}
        kept[last] = tuple(i for i in kept[last] if i != channel)
        without = silenced(model, ChannelPlan(kept))(images).log_softmax(dim=1).detach()
        expected = F.kl_div(without, logs, log_target=True, reduction="sum")
        assert float(scores[channel]) == pytest.approx(float(expected), rel=1e-4, abs=1e-9)


@given(SEEDS, st.floats(0.1, 10))
def test_the_size_of_a_whole_layer_does_not_move_its_norms(seed: int, factor: float) -> None:
    model = random_model(TINY, seed % 1000)
    before = CRITERIA["filter-norm"](model, [], draws())
    model.prunable["conv3_1"].weight.data *= factor
    after = CRITERIA["filter-norm"](model, [], draws())
    for layer in TINY.layers:
        assert_close(after[layer], before[layer])
        assert float(before[layer].square().mean()) == pytest.approx(1)


def test_the_smallest_filter_has_the_smallest_norm() -> None:
    model = random_model(TINY)
    model.prunable["conv2_1"].weight.data[2] *= 1e-3
    assert int(CRITERIA["filter-norm"](model, [], draws())["conv2_1"].argmin()) == 2


@given(SEEDS)
def test_lots_are_drawn_anew_for_each_seed_only(seed: int) -> None:
    spec = replace(ModelSpec.of("vgg11", 3, 0.1))
    first, again, other = (CRITERIA["random"](random_model(spec), [], draws(s)) for s in (seed, seed, seed + 1))
    assert all(torch.equal(first[layer], again[layer]) for layer in spec.layers)
    assert any(not torch.equal(first[layer], other[layer]) for layer in spec.layers)


def test_a_place_of_several_blocks_has_the_mean_of_its_scores() -> None:
    scores = with_blocks({"a": torch.tensor([1.0, 2, 3, 6]), "b": torch.tensor([1.0, 9])}, {"a": 2})
    assert scores["a"].tolist() == pytest.approx([2, 4, 2, 4])
    assert scores["b"].tolist() == [1, 9]
