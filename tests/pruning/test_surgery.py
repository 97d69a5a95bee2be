"""A rebuilt network against the silenced one, in float64: equal but for rounding, whatever the plan."""

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.recalibrate import recalibrated
from bcnn_prune.pruning.surgery import largest_difference, rebuild, silenced
from bcnn_prune.spec import ModelSpec
from tests.helpers.strategies import TINY, assert_same_network, plans, random_images, random_model

# With BatchNorm and without, under the bilinear head and the plain one.
KINDS = [
    replace(TINY, head=head, batch_norm=batch_norm) for head in ("bilinear", "average") for batch_norm in (True, False)
]


@given(plans(TINY), st.sampled_from(KINDS))
def test_a_rebuilt_network_computes_what_the_silenced_one_does(plan: ChannelPlan, spec: ModelSpec) -> None:
    model, images = random_model(spec), random_images()
    assert_close(rebuild(model, plan)(images), silenced(model, plan)(images), rtol=1e-10, atol=1e-10)


@given(st.data(), st.sampled_from(KINDS))
def test_two_cuts_are_the_cut_of_their_composition(data: st.DataObject, spec: ModelSpec) -> None:
    model = random_model(spec)
    first = data.draw(plans(TINY))
    second = data.draw(plans(first.narrow(TINY)))
    assert_same_network(rebuild(rebuild(model, first), second), rebuild(model, first.then(second)))


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_keeping_all_copies_the_network_and_shares_nothing_with_it(depth: int) -> None:
    model = random_model(ModelSpec.of(f"vgg{depth}", 4, 0.03))
    copied = rebuild(model, ChannelPlan.keep_all(model.spec))
    assert_same_network(copied, model)
    before = copy.deepcopy(model)
    for tensor in copied.state_dict().values():
        tensor.zero_()
    assert_same_network(model, before)


@given(plans(TINY))
def test_surgery_leaves_the_model_alone(plan: ChannelPlan) -> None:
    model = random_model(TINY)
    before = copy.deepcopy(model)
    rebuild(model, plan)
    silenced(model, plan)
    assert_same_network(model, before)


def test_training_mode_and_number_format_stay() -> None:
    plan = ChannelPlan(dict.fromkeys(TINY.layers, (0,)))
    for model in (random_model(TINY).train(), random_model(TINY).float()):
        narrow = rebuild(model, plan)
        assert narrow.training == model.training
        assert narrow.classifier.weight.dtype == model.classifier.weight.dtype


def test_the_certificate_sees_one_wrong_channel() -> None:
    model, images = random_model(TINY), random_images()
    right = ChannelPlan({**ChannelPlan.keep_all(TINY).kept, "conv5_2": (0, 1, 3)})
    wrong = ChannelPlan({**ChannelPlan.keep_all(TINY).kept, "conv5_2": (0, 1, 2)})
    assert largest_difference(rebuild(model, right), silenced(model, right), images) < 1e-10
    assert largest_difference(rebuild(model, wrong), silenced(model, right), images) > 1e-4


def test_recalibration_gives_the_statistics_of_the_images() -> None:
    """The first BN is the oracle: it reads the first convolution's output, which no other statistic touches."""
    model, images = random_model(TINY), random_images(8)
    fresh = recalibrated(model, [images])
    seen = model.prunable["conv1_1"](images).transpose(0, 1).flatten(1)
    norm = fresh.norms["conv1_1"]
    assert_close(norm.running_mean, seen.mean(1))
    assert_close(norm.running_var, seen.var(1))
    assert norm.momentum == model.norms["conv1_1"].momentum
    assert not fresh.training


def test_recalibration_changes_statistics_only_and_in_a_copy() -> None:
    model = random_model(TINY)
    before = copy.deepcopy(model)
    fresh = recalibrated(model, random_images(8).split(4))
    assert_same_network(model, before)
    changed = {
        name for name, tensor in fresh.state_dict().items() if not torch.equal(tensor, before.state_dict()[name])
    }
    assert changed == {name for name in before.state_dict() if "running" in name or "tracked" in name}
