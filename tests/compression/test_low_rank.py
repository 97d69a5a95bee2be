"""Layers in other forms: the same network at full rank, and the nearest one below."""

from functools import partial
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from bcnn_prune.compression.low_rank import blocks_of, converted, energies, factors
from bcnn_prune.compression.ranks import takes, within
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.forms import DENSE, FORMS, has_width
from bcnn_prune.layers import Conv, Depthwise, Linear, Step
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.spec import ModelSpec
from tests.helpers.strategies import in_forms, plain_networks, random_images, random_model, side_of, small_network

OTHERS = [form for form in FORMS if form != DENSE]


def weight_of(model: BilinearCNN, step: Step) -> Tensor:
    return model.layer(step.name).state_dict()["weight"]


def everywhere(model: BilinearCNN, form: str) -> ModelSpec:
    """`form` at full rank in every layer that can have it."""
    steps = [step for step in model.steps if isinstance(step.layer, Conv | Linear) and takes(form, step)]
    ranks = {step.name: len(energies(weight_of(model, step), form)) for step in steps}
    return model.spec.with_forms(
        {step.name: (form, ranks[step.name] * blocks_of(form, step.x.channels)) for step in steps}
    )


def assert_computes_the_same(small: BilinearCNN, model: BilinearCNN) -> None:
    spec = model.spec
    images = random_images(2, spec.side or side_of(spec.backbone), channels=spec.image_channels)
    expected = model(images)
    assert_close(small(images), expected, rtol=0, atol=1e-9 * float(expected.abs().max()))


@settings(max_examples=8)
@given(plain_networks(), st.sampled_from([form for form in FORMS if has_width(form)]))
@torch.no_grad()
def test_at_full_rank_a_form_computes_what_the_layers_do(spec: ModelSpec, form: str) -> None:
    model = random_model(spec)
    assert_computes_the_same(converted(model, everywhere(model, form)), model)


@settings(max_examples=8)
@given(plain_networks(), st.integers(0, 9))
@torch.no_grad()
def test_filters_of_rank_one_become_separable_without_error(spec: ModelSpec, seed: int) -> None:
    model, draws = random_model(spec), torch.Generator().manual_seed(seed)
    for step in model.steps:
        if isinstance(step.layer, Conv) and takes("separable", step):
            out, inputs, height, width = weight_of(model, step).shape
            kernels = torch.randn(inputs, height, width, generator=draws, dtype=torch.float64)
            mixing = torch.randn(out, inputs, 1, 1, generator=draws, dtype=torch.float64)
            weight_of(model, step).copy_(mixing * kernels)
    small = converted(model, everywhere(model, "separable"))
    assert_computes_the_same(small, model)
    separated = [name for name, form in zip(spec.layers, small.spec.forms, strict=False) if form == "separable"]
    assert all(isinstance(small.spec.architecture[f"{name}_dw"], Depthwise) for name in separated)


@given(st.sampled_from(OTHERS), st.integers(1, 4), st.integers(0, 9))
def test_what_a_form_loses_of_the_filters_is_what_its_energy_says(form: str, rank: int, seed: int) -> None:
    weight = torch.randn(6, 8, 3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rank = rank if has_width(form) else 1
    first, second = factors(weight, form, rank * blocks_of(form, 8))
    # Each input channel in turn is one bright pixel: what comes out is the filters, back to front.
    pixel = F.pad(torch.eye(8, dtype=torch.float64)[..., None, None], (2, 2, 2, 2))
    answers = F.conv2d(F.conv2d(pixel, first, groups=8 // first.shape[1]), second)
    lost = float((answers.flip(2, 3).transpose(0, 1) - weight).square().sum() / weight.square().sum())
    assert lost == pytest.approx(1 - float(energies(weight, form)[rank - 1]), abs=1e-12)


@settings(max_examples=8)
@given(st.data(), st.sampled_from(OTHERS))
def test_no_other_ranks_within_the_budget_keep_more(data: st.DataObject, form: str) -> None:
    model = random_model(small_network("small-cnn", "bilinear", hidden=1))
    cost = partial(macs, side=32)
    other = data.draw(in_forms(model.spec, (DENSE, form)))
    budget = cost(other) + 0.01 * cost(model.spec)
    best = within(model, form, cost, budget)
    assert cost(best) <= budget
    assert kept(model, best) >= kept(model, other) - 1e-9


def macs(spec: ModelSpec, side: int) -> float:
    return total_cost(spec, side).macs


def kept(model: BilinearCNN, spec: ModelSpec) -> float:
    """The sum over layers of the share of squared weights that the forms of `spec` keep."""
    channels = {step.name: step.y.channels for step in spec.steps()}
    before = {name: earlier for earlier, name in pairwise(channels)}
    total = 0.0
    layers = [step for step in model.steps if isinstance(step.layer, Conv | Linear)]
    for step, form in zip(layers, spec.forms, strict=True):
        if form == DENSE:
            total += 1
            continue
        energy = energies(weight_of(model, step), form)
        rank = channels[before[step.name]] // blocks_of(form, step.x.channels)
        total += float(energy[min(rank, len(energy)) - 1])
    return total


def test_impossible_forms_are_refused_with_what_is_possible() -> None:
    model = random_model(small_network("small-cnn", "bilinear"))
    with pytest.raises(ValueError, match=r"the form low-rank leaves [\d,]+ at the lowest ranks, and the budget is 10"):
        within(model, "low-rank", partial(macs, side=32), 10)
    with pytest.raises(ValueError, match="99 channels between the layers of the form reduced: take 1 to 8"):
        factors(torch.zeros(4, 8, 3, 3), "reduced", 99)
    with pytest.raises(ValueError, match="classifier has no form 'separable'"):
        model.spec.with_forms({"classifier": ("separable", 0)})
    with pytest.raises(ValueError, match="start from a network as it is"):
        model.spec.with_forms({"conv9": ("low-rank", 1)})
    with pytest.raises(ValueError, match="forms do not fit"):
        ModelSpec(model.spec.backbone, model.spec.widths, 3, forms=("dense",))
