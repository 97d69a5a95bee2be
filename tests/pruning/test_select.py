"""Selection: the exact count, the lowest scores, the floor, the same answer every time."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.ranking import drop_counts, keep_highest, min_widths, threshold
from bcnn_prune.pruning.select import filled, round_widths_up, smallest_cut
from tests.helpers.strategies import TINY, scores


@given(scores(TINY), st.data())
def test_exactly_the_count_goes_and_the_floor_stays(values: dict[str, torch.Tensor], data: st.DataObject) -> None:
    floor = data.draw(st.integers(1, 5))
    possible = sum(max(0, width - floor) for width in TINY.widths)
    drop = data.draw(st.integers(0, possible))
    narrow = keep_highest(values, drop, floor).narrow(TINY)
    assert TINY.channels - narrow.channels == drop
    assert all(after >= min(floor, before) for after, before in zip(narrow.widths, TINY.widths, strict=True))


@given(scores(TINY), st.data())
def test_nothing_kept_scores_below_what_went_unless_its_layer_is_at_the_floor(
    values: dict[str, torch.Tensor], data: st.DataObject
) -> None:
    floor = data.draw(st.integers(1, 3))
    drop = data.draw(st.integers(0, sum(width - floor for width in TINY.widths)))
    plan = keep_highest(values, drop, floor)
    line = threshold(values, plan)
    for layer, kept in plan.kept.items():
        if len(kept) > floor:
            assert drop == 0 or min(values[layer][list(kept)].tolist()) >= line
        if kept and len(kept) < len(values[layer]):
            gone = plan.dropped(TINY)[layer]
            assert max(values[layer][list(gone)].tolist()) <= min(values[layer][list(kept)].tolist())


@given(scores(TINY), st.data())
def test_a_larger_cut_takes_all_that_a_smaller_one_takes(values: dict[str, torch.Tensor], data: st.DataObject) -> None:
    possible = TINY.channels - 2 * len(TINY.layers)
    small, large = sorted(data.draw(st.lists(st.integers(0, possible), min_size=2, max_size=2)))
    for layer, kept in keep_highest(values, large, 2).kept.items():
        assert set(kept) <= set(keep_highest(values, small, 2).kept[layer])


def test_equal_scores_go_from_the_deepest_layer_and_its_highest_channel() -> None:
    plan = keep_highest({layer: torch.zeros(width) for layer, width in TINY.width_of.items()}, drop=4, min_channels=3)
    assert plan.dropped(TINY)["conv5_2"] == (3, 4)
    assert plan.dropped(TINY)["conv5_1"] == (3,)
    assert plan.dropped(TINY)["conv4_2"] == (4,)


def test_a_cut_that_the_floors_do_not_allow_says_what_is_possible() -> None:
    values = {"conv1_1": torch.ones(4), "conv1_2": torch.ones(6)}
    with pytest.raises(ValueError, match=r"7 of 10 channels .* while 2 stay .* at most 6 can \(60\.0%\)"):
        keep_highest(values, drop=7, min_channels=2)
    with pytest.raises(ValueError, match="at least 0 channels in every layer: take a whole number"):
        keep_highest(values, drop=1, min_channels=0)
    with pytest.raises(ValueError, match="no layer has scores"):
        keep_highest({}, drop=1, min_channels=1)


@given(scores(TINY), st.integers(0, TINY.channels - len(TINY.layers)), st.integers(1, 8))
def test_rounding_up_brings_back_the_best_and_no_more_than_it_must(
    values: dict[str, torch.Tensor], drop: int, multiple: int
) -> None:
    plan = keep_highest(values, drop, 1)
    rounded = round_widths_up(plan, values, multiple)
    for layer, kept in rounded.kept.items():
        before, width = plan.kept[layer], len(values[layer])
        assert set(before) <= set(kept)
        assert len(kept) == min(width, math.ceil(len(before) / multiple) * multiple)
        back, gone = set(kept) - set(before), set(range(width)) - set(kept)
        assert min((values[layer][i].item() for i in back), default=9) >= max(
            (values[layer][i].item() for i in gone), default=0
        )
    assert round_widths_up(rounded, values, multiple) == rounded
    whole = ChannelPlan({**plan.kept, "without scores": (0, 1, 2)})
    assert round_widths_up(whole, values, multiple).kept == {**rounded.kept, "without scores": (0, 1, 2)}
    assert round_widths_up(plan, values, 1) == plan


@given(scores(TINY), st.integers(1, 3), st.sampled_from([1, 2, 4]), st.integers(1, 3_000))
def test_the_smallest_cut_fits_and_one_channel_less_does_not(
    values: dict[str, torch.Tensor], floor: int, multiple: int, params: int
) -> None:
    def cost(drop: int) -> int:
        return total_cost(
            round_widths_up(keep_highest(values, drop, floor), values, multiple).narrow(TINY), side=16
        ).params

    possible = sum(max(0, width - floor) for width in TINY.widths)
    if cost(possible) > params:
        with pytest.raises(ValueError, match=f"all {possible} channels that a floor of {floor} allows is not enough"):
            smallest_cut(values, floor, multiple, lambda plan: total_cost(plan.narrow(TINY), side=16).params <= params)
        return
    drop = smallest_cut(values, floor, multiple, lambda plan: total_cost(plan.narrow(TINY), side=16).params <= params)
    assert cost(drop) <= params
    assert drop == 0 or cost(drop - 1) > params


def test_widths_in_multiples_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 0 are none"):
        round_widths_up(ChannelPlan({"conv1_1": (0,)}), {"conv1_1": torch.ones(4)}, 0)


def test_the_threshold_is_the_largest_score_that_goes() -> None:
    values = {"conv1_1": torch.tensor([0.5, 0.25, 2.0]), "conv1_2": torch.tensor([0.125, 1.0, 3.0])}
    assert threshold(values, keep_highest(values, 3, 1)) == 0.5
    assert threshold(values, ChannelPlan({"conv1_1": (0, 1, 2), "conv1_2": (0, 1, 2)})) == 0


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True), st.integers(1, 20))
def test_whole_counts_add_up_and_differ_by_one_at_most(total: int, fraction: float, steps: int) -> None:
    counts = drop_counts(total, fraction, steps)
    assert sum(counts) == round(total * fraction)
    assert max(counts) - min(counts) <= 1


def test_the_counts_of_the_thesis_iterative_flow() -> None:
    assert drop_counts(total=4224, fraction=0.4, steps=4) == (422, 423, 422, 423)
    assert drop_counts(total=4224, fraction=0.8) == (3379,)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 40.0])
def test_a_share_outside_zero_to_one_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="take 0 or more and less than 1"):
        drop_counts(100, fraction)


@given(scores(TINY), st.integers(30, 200))
def test_a_filled_budget_has_no_room_for_a_channel_more(values: dict[str, torch.Tensor], budget: int) -> None:
    def fits(plan: ChannelPlan) -> bool:
        return sum(a * b for a, b in pairwise(map(len, plan.kept.values()))) <= budget

    plan = keep_highest(values, smallest_cut(values, 1, 1, fits), 1)
    wider = filled(plan, values, fits)
    assert fits(wider)
    for layer, kept in wider.kept.items():
        gone = set(range(len(values[layer]))) - set(kept)
        back = set(kept) - set(plan.kept[layer])
        assert len(back) == len(kept) - len(plan.kept[layer])
        assert all(values[layer][i] <= values[layer][j] for i in gone for j in back)
        for channel in gone:
            assert not fits(ChannelPlan({**wider.kept, layer: tuple(sorted((*kept, channel)))}))


def test_half_a_channel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 2\.5 channels in every layer: take a whole number"):
        min_widths({"conv1": 8}, 2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"widths in multiples of 2\.5 are none"):
        round_widths_up(ChannelPlan({"conv1": (0,)}), {"conv1": torch.rand(8)}, 2.5)  # type: ignore[arg-type]
