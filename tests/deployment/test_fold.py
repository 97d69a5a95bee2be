"""Folding: the same logits with neither BatchNorm nor the lower half of the pooled matrix, whatever the plan."""

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from bcnn_prune.data.augment import normalised
from bcnn_prune.deployment.fold import folded
from bcnn_prune.deployment.pixels import FromPixels
from bcnn_prune.metadata import ModelCard
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.spec import ModelSpec
from tests.helpers.strategies import FP32_ROUNDING, TINY, plans, random_images, random_model

KINDS = [
    replace(TINY, head=head, batch_norm=batch_norm) for head in ("bilinear", "average") for batch_norm in (True, False)
]


def difference(computed: Tensor, expected: Tensor) -> float:
    return float((computed - expected).abs().max() / expected.abs().max())


@given(plans(TINY), st.sampled_from(KINDS), st.integers(0, 99), st.integers(16, 24), st.integers(1, 3))
@torch.no_grad()
def test_a_folded_network_computes_what_the_network_does(
    plan: ChannelPlan, spec: ModelSpec, seed: int, side: int, batch: int
) -> None:
    model, images = random_model(plan.narrow(spec), seed), random_images(batch, side, seed)
    assert difference(folded(model)(images), model(images)) < 1e-12
    single = copy.deepcopy(model).float()
    assert difference(folded(single)(images.float()), single(images.float())) < FP32_ROUNDING


@given(plans(TINY), st.sampled_from(KINDS))
def test_new_weights_are_computed_in_float64(plan: ChannelPlan, spec: ModelSpec) -> None:
    model = random_model(plan.narrow(spec)).float()
    exact = folded(copy.deepcopy(model).double()).state_dict()
    for name, tensor in folded(model).state_dict().items():
        assert torch.equal(tensor, exact[name].float()), name


@pytest.mark.parametrize("spec", KINDS)
def test_what_a_folded_network_is_made_of(spec: ModelSpec) -> None:
    model = random_model(spec)
    before = copy.deepcopy(model.state_dict())
    network = folded(model.train())
    assert not network.training
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    width = spec.widths[-1]
    assert network.classifier.in_features == (width * (width + 1) // 2 if spec.head == "bilinear" else width)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.is_contiguous(memory_format=torch.channels_last)
    for tensor in network.state_dict().values():
        tensor.zero_()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@torch.no_grad()
def test_an_image_without_any_feature_has_the_bias_for_logits() -> None:
    model = random_model(TINY)
    last = model.norms[TINY.layers[-1]]
    last.weight.zero_()
    last.bias.fill_(-1)
    images = random_images()
    assert torch.equal(folded(model)(images), model.classifier.bias.expand(2, -1))
    assert torch.equal(model(images), model.classifier.bias.expand(2, -1))


def card_of(spec: ModelSpec = TINY, **changed: object) -> ModelCard:
    return replace(ModelCard(spec, tuple("abc"), "drawn-cars3", side=16), **changed)


def test_pixels_are_normalised_as_in_training_to_the_last_bit() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(-1, -1, -1, 3)
    computed = FromPixels(nn.Flatten())(pixels)
    assert torch.equal(computed, normalised(pixels.permute(0, 3, 1, 2)).flatten(1))


@torch.no_grad()
def test_any_mean_and_deviation_of_each_colour_is_part_of_the_network() -> None:
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    model = random_model(TINY).float()
    pixels = torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = (pixels.permute(0, 3, 1, 2) / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    computed = FromPixels(model, mean, std)(pixels)
    assert difference(computed, model(images)) < FP32_ROUNDING
