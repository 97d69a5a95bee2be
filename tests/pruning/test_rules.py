"""Rules that rank layers against each other: what they leave alone, what they are blind to, and small cases in full."""

from itertools import pairwise, product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from bcnn_prune.pruning.ranking import keep_highest, min_widths, require_possible
from bcnn_prune.pruning.rules import RULES, ranked_by
from bcnn_prune.pruning.select import keep_widths, smallest_cut
from tests.helpers.strategies import TINY, scores

NAMES = st.sampled_from(sorted(RULES))
BLIND_TO_SIZE = ("mean", "rms", "lamp", "rank")
SHARES = st.sampled_from([0.0, 0.1, 0.25, 0.5])
SMALL = {"conv1_1": 3, "conv1_2": 4, "conv2_1": 2}


def possible(fewest: dict[str, int]) -> int:
    return TINY.channels - sum(fewest.values())


@given(scores(TINY), NAMES, SHARES, st.integers(1, 3), st.data())
def test_plans_of_a_rule_nest_have_the_exact_count_and_keep_the_protected_share(
    values: dict[str, torch.Tensor], rule: str, share: float, channels: int, data: st.DataObject
) -> None:
    fewest = min_widths(TINY.width_of, channels, share)
    small, large = sorted(data.draw(st.lists(st.integers(0, possible(fewest)), min_size=2, max_size=2)))
    ranked = ranked_by(values, rule)
    plans = [keep_highest(ranked, drop, fewest) for drop in (small, large)]
    assert [TINY.channels - plan.narrow(TINY).channels for plan in plans] == [small, large]
    for layer, width in TINY.width_of.items():
        assert set(plans[1].kept[layer]) <= set(plans[0].kept[layer])
        assert len(plans[1].kept[layer]) >= min(width, channels)
        assert len(plans[1].kept[layer]) >= width * share


@given(scores(TINY), NAMES)
def test_no_rule_turns_the_order_within_a_layer_around(values: dict[str, torch.Tensor], rule: str) -> None:
    for layer, ranked in ranked_by(values, rule).items():
        best_first = values[layer].sort(descending=True, stable=True).indices
        assert all(a >= b for a, b in pairwise(ranked[best_first].tolist()))


@given(scores(TINY), st.sampled_from(BLIND_TO_SIZE), st.integers(-20, 20))
def test_the_size_of_a_layer_does_not_count(values: dict[str, torch.Tensor], rule: str, power: int) -> None:
    """A power of two changes no digit, so the ranking is the same to the last bit."""
    scaled = {**values, "conv3_1": values["conv3_1"] * 2.0**power}
    for layer, ranked in ranked_by(values, rule).items():
        assert torch.equal(ranked, ranked_by(scaled, rule)[layer])


@given(scores(TINY))
def test_ranks_see_the_order_only(values: dict[str, torch.Tensor]) -> None:
    mapped = {layer: given.exp() + given.pow(3) - 5 for layer, given in values.items()}
    for layer, ranked in ranked_by(values, "rank").items():
        assert torch.equal(ranked, ranked_by(mapped, "rank")[layer])


@given(scores(TINY), st.integers(0, TINY.channels - len(TINY.layers)))
def test_by_ranks_all_layers_lose_the_same_share(values: dict[str, torch.Tensor], drop: int) -> None:
    kept = keep_highest(ranked_by(values, "rank"), drop, 1).kept
    free = {layer: len(kept[layer]) for layer in TINY.layers if len(kept[layer]) > 1}
    for a, b in product(free, free):
        (m, n) = TINY.width_of[a], TINY.width_of[b]
        assert abs(free[a] / m - free[b] / n) <= 0.5 / m + 0.5 / n + 1e-9


@given(st.lists(st.floats(0.125, 8), min_size=1, max_size=6, unique=True))
def test_lamp_is_the_sum_that_its_paper_gives(values: list[float]) -> None:
    (ranked,) = ranked_by({"conv1_1": torch.tensor(values, dtype=torch.float64)}, "lamp").values()
    expected = [score**2 / sum(other**2 for other in values if other >= score) for score in values]
    assert_close(ranked, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("rule", RULES)
def test_a_layer_of_zeros_goes_first_and_one_of_equals_keeps_its_first_channels(rule: str) -> None:
    values = {"conv1_1": torch.ones(4), "conv1_2": torch.zeros(6)}
    ranked = ranked_by(values, rule)
    assert all(bool(scored.isfinite().all()) for scored in ranked.values())
    if rule != "rank":
        assert keep_highest(ranked, 5, 1).kept == {"conv1_1": (0, 1, 2, 3), "conv1_2": (0,)}
    assert keep_highest(ranked, 6, 1).kept["conv1_1"] == ((0, 1) if rule == "rank" else (0, 1, 2))


@given(st.data(), st.sampled_from([1, 2]), st.integers(0, 9))
def test_a_ranking_keeps_the_largest_sum_that_so_many_channels_can_have(
    data: st.DataObject, channels: int, drop: int
) -> None:
    """The oracle tries all widths of three small layers."""
    value = st.sampled_from([0.0, 0.25, 0.5, 1.0, 4.0])
    given_scores = {
        layer: torch.tensor(data.draw(st.lists(value, min_size=width, max_size=width)))
        for layer, width in SMALL.items()
    }
    fewest = min_widths(SMALL, channels)
    drop = min(drop, sum(SMALL.values()) - sum(fewest.values()))
    kept = keep_highest(given_scores, drop, fewest).kept
    sums = [
        sum(float(given_scores[layer].topk(n).values.sum()) for layer, n in zip(SMALL, ns, strict=True))
        for ns in product(*(range(fewest[layer], width + 1) for layer, width in SMALL.items()))
        if sum(SMALL.values()) - sum(ns) == drop
    ]
    assert sum(float(given_scores[layer][list(of)].sum()) for layer, of in kept.items()) == max(sums)


@given(scores(TINY), st.integers(0, TINY.channels - len(TINY.layers)))
def test_the_widths_of_a_plan_give_the_plan_again(values: dict[str, torch.Tensor], drop: int) -> None:
    plan = keep_highest(values, drop, 1)
    assert keep_widths(values, {layer: len(kept) for layer, kept in plan.kept.items()}) == plan


def test_a_share_is_rounded_up_and_a_narrow_layer_keeps_all() -> None:
    assert min_widths({"a": 30, "b": 31, "c": 3, "d": 200}, 4, 0.1) == {"a": 4, "b": 4, "c": 3, "d": 20}
    assert min_widths({"a": 70}, 1, 0.7) == {"a": 49}  # 0.7 × 70 is 49.000000000000007 in floating point
    with pytest.raises(ValueError, match="take 0 or more and less than 1"):
        min_widths({"a": 4}, 1, 1.0)


def test_what_is_protected_is_told_where_too_much_is_asked_for() -> None:
    widths = {"a": 10, "b": 20}
    with pytest.raises(ValueError, match=r"28 of 30 channels cannot go while 5 are protected: at most 25 can"):
        require_possible(widths, 28, min_widths(widths, 1, 0.11))
    with pytest.raises(ValueError, match="all 26 channels that a floor of 2 allows"):
        smallest_cut({"a": torch.ones(10), "b": torch.ones(20)}, min_widths(widths, 2), 1, lambda _: False)
    with pytest.raises(ValueError, match="no rule best: take thesis, raw, mean"):
        ranked_by({"a": torch.ones(3)}, "best")


@pytest.mark.parametrize(("rule", "size"), [("mean", 3.0), ("rms", 12.5**0.5)])
def test_a_rule_divides_by_what_it_is_called(rule: str, size: float) -> None:
    (found,) = ranked_by({"a": torch.tensor([6.0, 1, 3, 2])}, rule).values()
    assert found.tolist() == pytest.approx([6 / size, 1 / size, 3 / size, 2 / size])


def test_rules_but_the_thesis_protect_a_tenth_of_every_layer() -> None:
    assert {name: rule.min_share for name, rule in RULES.items()} == {
        name: 0 if name == "thesis" else 0.1 for name in RULES
    }
