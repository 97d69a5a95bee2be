"""Plans: what they refuse, and that two of them are one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.plan import ChannelPlan
from tests.helpers.strategies import TINY, plans


@given(plans(TINY))
def test_kept_and_dropped_are_all_channels_and_share_none(plan: ChannelPlan) -> None:
    dropped = plan.dropped(TINY)
    for layer, width in TINY.width_of.items():
        assert sorted(plan.kept[layer] + dropped[layer]) == list(range(width))


@given(plans(TINY))
def test_keeping_all_changes_no_plan(plan: ChannelPlan) -> None:
    assert ChannelPlan.keep_all(TINY).then(plan) == plan
    assert plan.then(ChannelPlan.keep_all(plan.narrow(TINY))) == plan
    assert ChannelPlan.keep_all(TINY).narrow(TINY) == TINY


@given(st.data())
def test_one_plan_after_another_is_their_composition(data: st.DataObject) -> None:
    first = data.draw(plans(TINY))
    second = data.draw(plans(first.narrow(TINY)))
    third = data.draw(plans(second.narrow(first.narrow(TINY))))
    assert first.then(second).narrow(TINY) == second.narrow(first.narrow(TINY))
    assert first.then(second).then(third) == first.then(second.then(third))
    names = {layer: [f"{layer}/{i}" for i in range(width)] for layer, width in TINY.width_of.items()}
    for layer, original in names.items():
        after_first = [original[i] for i in first.kept[layer]]
        after_both = [after_first[i] for i in second.kept[layer]]
        assert [original[i] for i in first.then(second).kept[layer]] == after_both


@pytest.mark.parametrize("channels", [(2, 1), (1, 1), (-1, 0)])
def test_channels_must_ascend_from_zero(channels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="conv1_1 must be ascending"):
        ChannelPlan({"conv1_1": channels})


def test_an_empty_layer_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match="empties conv2_1: prune less, or raise the floor"):
        ChannelPlan({"conv1_1": (0,), "conv2_1": ()})


def test_a_plan_for_another_network_is_refused() -> None:
    wide = ChannelPlan.keep_all(TINY)
    narrow = {**wide.kept, "conv1_1": (0,)}
    with pytest.raises(ValueError, match="keeps channel 2 of conv1_1, which has 1"):
        ChannelPlan(narrow).then(wide)
    with pytest.raises(ValueError, match="keeps channel 2 of conv1_1, which has 1"):
        wide.narrow(ChannelPlan(narrow).narrow(TINY))
    with pytest.raises(ValueError, match="the network has a layer conv2_1, the plan does not"):
        ChannelPlan({"conv1_1": (0,)}).narrow(TINY)
