"""Absorbing: the narrow network computes what the wide one does whose dropped channels emit a constant."""

import copy
from dataclasses import replace

import pytest
from hypothesis import given
from torch.testing import assert_close

from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.absorb import absorbed, with_constant_channels
from bcnn_prune.pruning.surgery import largest_difference, rebuild
from tests.helpers.strategies import TINY, assert_same_network, plans, random_images, random_model


@given(plans(TINY))
def test_absorbed_the_network_computes_what_one_does_whose_dropped_channels_emit_a_constant(plan: ChannelPlan) -> None:
    model, images = random_model(TINY), random_images()
    assert_close(absorbed(model, plan)(images), with_constant_channels(model, plan)(images), rtol=1e-10, atol=1e-10)


def test_without_a_border_absorbing_is_dropping_a_channel_of_no_scale() -> None:
    """The oracle is the network itself: with γ at zero a channel emits ReLU(β). Kernels that see one pixel only have no
    border, so nothing is lost."""
    model, images = random_model(TINY), random_images()
    plan = ChannelPlan({**ChannelPlan.keep_all(TINY).kept, "conv2_1": (0, 2), "conv4_1": (1, 3, 4, 5)})
    for layer, channels in plan.dropped(TINY).items():
        model.norms[layer].weight.data[list(channels)] = 0
    for conv in model.prunable.values():
        centre = conv.weight.detach()[:, :, 1:2, 1:2].clone()
        conv.weight.data.zero_()
        conv.weight.data[:, :, 1:2, 1:2] = centre
    assert_close(absorbed(model, plan)(images), model(images), rtol=1e-10, atol=1e-10)
    assert largest_difference(rebuild(model, plan), model, images) > 1e-3


def test_nothing_is_absorbed_where_there_is_no_batch_norm() -> None:
    model = random_model(replace(TINY, batch_norm=False))
    with pytest.raises(ValueError, match="this network has none"):
        absorbed(model, ChannelPlan.keep_all(TINY))


@given(plans(TINY))
def test_absorbing_leaves_the_model_alone(plan: ChannelPlan) -> None:
    model = random_model(TINY)
    before = copy.deepcopy(model)
    absorbed(model, plan)
    with_constant_channels(model, plan)(random_images())
    assert_same_network(model, before)
