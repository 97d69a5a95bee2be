"""Allocation by dynamic programming against trying every choice of widths, and against rankings at the same budget."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bcnn_prune.evaluation.cost import file_bytes, total_cost
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.allocate import allocate
from bcnn_prune.pruning.chain_cost import MOST_CHOICES, ChainCost, tabulated, width_choices
from bcnn_prune.pruning.importance import Scores
from bcnn_prune.pruning.ranking import keep_highest, min_widths
from bcnn_prune.pruning.rules import RULES, ranked_by
from bcnn_prune.pruning.select import smallest_cut
from bcnn_prune.spec import ModelSpec
from tests.helpers.strategies import TINY, scores

SIDE = 16
LAYERS = {"conv1_1": 3, "conv1_2": 5, "conv2_1": 4, "conv2_2": 3}
SCORES = st.integers(0, 2**32 - 1).map(
    lambda seed: {
        layer: torch.rand(width, generator=torch.Generator().manual_seed(seed + i)) ** 3
        for i, (layer, width) in enumerate(LAYERS.items())
    }
)
COSTS: dict[str, Callable[[ModelSpec], int]] = {
    "params": lambda spec: total_cost(spec, SIDE).params,
    "macs": lambda spec: total_cost(spec, SIDE).macs,
    "bytes": file_bytes,
}


def of_widths(cost: Callable[[ModelSpec], int], spec: ModelSpec) -> Callable[[tuple[int, ...]], float]:
    return lambda widths: cost(replace(spec, widths=widths))


def kept_sum(values: Scores, plan: ChannelPlan) -> float:
    return sum(float(values[layer].double()[list(kept)].sum()) for layer, kept in plan.kept.items())


def made_cost(seed: int, layers: int = len(LAYERS)) -> Callable[[tuple[int, ...]], float]:
    """Whole numbers: a product of neighbours with a factor of each layer's own, and the square of the last."""
    factors = np.random.default_rng(seed).integers(1, 30, (layers, 2))

    def cost(widths: tuple[int, ...]) -> float:
        inputs = (3, *widths[:-1])
        convs = sum(a * i * k + b * k for (a, b), i, k in zip(factors, inputs, widths, strict=True))
        return float(convs + 7 * widths[-1] ** 2 + 11)

    return cost


@given(SCORES, st.integers(0, 1000), st.floats(0, 1), st.sampled_from([20, 200, 8192]))
@settings(max_examples=40)
def test_no_choice_of_widths_keeps_more_but_for_the_rounding_of_costs(
    values: Scores, seed: int, share: float, steps: int
) -> None:
    cost = made_cost(seed)
    least, whole = cost((1,) * 4), cost(tuple(LAYERS.values()))
    budget = least + share * (whole - least)
    plan = allocate(values, tabulated(cost, width_choices(LAYERS, dict.fromkeys(LAYERS, 1))), budget, steps)
    assert cost(tuple(len(kept) for kept in plan.kept.values())) <= budget

    def best_within(limit: float) -> float:
        every = product(*(range(1, width + 1) for width in LAYERS.values()))
        return max(
            sum(float(given.double().topk(k).values.sum()) for given, k in zip(values.values(), widths, strict=True))
            for widths in every
            if cost(widths) <= limit
        )

    rounding = len(LAYERS) * (budget - least) / steps
    assert kept_sum(values, plan) <= best_within(budget) + 1e-9
    assert kept_sum(values, plan) >= best_within(max(least, budget - rounding)) - 1e-9


@given(SCORES, st.integers(0, 1000), st.integers(1, 400))
@settings(max_examples=20)
def test_costs_in_whole_steps_are_not_rounded(values: Scores, seed: int, spare: int) -> None:
    """A step of the budget for each unit of cost: the result is the best there is."""
    cost = made_cost(seed)
    budget = cost((1,) * 4) + spare
    table = tabulated(cost, width_choices(LAYERS, dict.fromkeys(LAYERS, 1)))
    plan = allocate(values, ChainCost(table.widths, tuple(np.rint(term) for term in table.terms)), budget, spare)
    every = [
        widths for widths in product(*(range(1, width + 1) for width in LAYERS.values())) if cost(widths) <= budget
    ]
    sums = [
        sum(float(given.double().topk(k).values.sum()) for given, k in zip(values.values(), widths, strict=True))
        for widths in every
    ]
    assert kept_sum(values, plan) == pytest.approx(max(sums), abs=1e-9)


@given(scores(TINY), st.sampled_from(sorted(RULES)), st.integers(0, 1000), st.floats(0.05, 0.95))
@settings(max_examples=40)
def test_no_ranking_keeps_more_at_the_same_budget(
    values: dict[str, torch.Tensor], rule: str, seed: int, share: float
) -> None:
    cost, ranked = made_cost(seed, len(TINY.layers)), ranked_by(values, rule)
    fewest = min_widths(TINY.width_of, 1, 0.1)
    choices = width_choices(TINY.width_of, fewest)
    least, whole, steps = cost(tuple(fewest.values())), cost(TINY.widths), 500
    budget = least + share * (whole - least)
    plan = allocate(ranked, tabulated(cost, choices), budget, steps)
    assert cost(plan.narrow(TINY).widths) <= budget
    tighter = budget - len(choices) * (budget - least) / steps
    drop = smallest_cut(ranked, fewest, 1, lambda cut: cost(cut.narrow(TINY).widths) <= max(least, tighter))
    assert kept_sum(ranked, plan) >= kept_sum(ranked, keep_highest(ranked, drop, fewest)) - 1e-9


@pytest.mark.parametrize("head", ["bilinear", "average", "isqrt"])
@pytest.mark.parametrize("kind", COSTS)
def test_terms_add_up_to_the_cost_of_the_network(kind: str, head: str) -> None:
    spec = ModelSpec.of("vgg11", 20, 0.25, head, reduce_to=96)
    choices = width_choices(spec.width_of, min_widths(spec.width_of, 4), 3)
    cost, table = of_widths(COSTS[kind], spec), tabulated(of_widths(COSTS[kind], spec), choices)
    rng = np.random.default_rng(0)
    for _ in range(5):
        choice = [int(rng.integers(len(widths))) for widths in choices.values()]
        widths = tuple(int(given[i]) for given, i in zip(choices.values(), choice, strict=True))
        assert table.total(choice) == pytest.approx(cost(widths), rel=1e-12)


def test_widths_to_choose_from() -> None:
    choices = width_choices({"a": 10, "b": 3, "c": 512, "d": 20, "e": 5}, {"a": 4, "b": 3, "c": 52, "d": 3, "e": 2}, 4)
    assert {layer: widths.tolist() for layer, widths in choices.items() if layer != "c"} == {
        "a": [4, 8, 10],
        "b": [3],
        "d": [4, 8, 12, 16, 20],
        "e": [4, 5],
    }
    assert choices["c"].tolist() == list(range(52, 513, 4))
    (many,) = width_choices({"a": 512}, {"a": 4}).values()
    assert len(many) <= MOST_CHOICES + 1
    assert (many[0], many[-1]) == (4, 512)


@given(SCORES)
def test_all_is_kept_where_all_fits_and_too_little_is_refused(values: Scores) -> None:
    cost = made_cost(0)
    table = tabulated(cost, width_choices(LAYERS, dict.fromkeys(LAYERS, 2)))
    plan = allocate(values, table, cost(tuple(LAYERS.values())), 100)
    assert [len(kept) for kept in plan.kept.values()] == list(LAYERS.values())
    least = cost((2,) * 4)
    assert [len(kept) for kept in allocate(values, table, least, 100).kept.values()] == [2, 2, 2, 2]
    with pytest.raises(ValueError, match=r"the smallest widths cost .* more than the budget of"):
        allocate(values, table, least - 1, 100)
    broken = {**values, "conv2_1": torch.full((4,), float("nan"))}
    with pytest.raises(ValueError, match="scores of conv2_1 are not finite"):
        allocate(broken, table, least, 100)
