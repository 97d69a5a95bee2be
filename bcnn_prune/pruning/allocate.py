"""Allocate widths to layers under one budget: the largest sum of kept scores, by dynamic programming.

A chain of layers under one budget is a multiple-choice knapsack whose costs couple neighbours. HALP (Shen et al. 2022)
solves it approximately; over (layer, its width, budget used) it is solved exactly, but that every cost is rounded up to
a step of the budget. So the result never exceeds the budget, and its sum is at least the largest that a budget smaller
by one step per layer allows."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.chain_cost import ChainCost, Costs
from bcnn_prune.pruning.importance import Scores
from bcnn_prune.pruning.ranking import require_finite
from bcnn_prune.pruning.select import keep_widths

STEPS = 8192  # of the budget: 13 layers round up by 0.16 % of it at most


def allocate(scores: Scores, cost: ChainCost, budget: float, steps: int = STEPS) -> ChannelPlan:
    """The plan that keeps the largest sum of scores among those whose cost is at most `budget`.

    Widths are those of `cost`; within a layer the highest scores stay. What rounding leaves of the budget goes to the
    widths that gain most for it. Raises ValueError where not even the smallest widths fit, and for a score that is NaN
    or infinite."""
    require_finite(scores)
    kept = {layer: scores[layer].double().sort(descending=True).values.cumsum(0) for layer in cost.widths}
    values = [kept[layer][torch.from_numpy(widths) - 1].numpy() for layer, widths in cost.widths.items()]
    return keep_widths(scores, best_widths(values, cost, budget, steps))


def best_widths(values: Sequence[Costs], cost: ChainCost, budget: float, steps: int = STEPS) -> dict[str, int]:
    """The widths by layer whose `values`, one for each width of `cost`, have the largest sum at a cost of at most
    `budget`. Raises ValueError where not even the smallest widths fit."""
    smallest = [0] * len(values)
    if cost.total(smallest) > budget:
        raise ValueError(f"the smallest widths cost {cost.total(smallest):,.6g}, more than the budget of {budget:,.6g}")
    choice = _filled(_best(values, cost, budget, steps) or smallest, values, cost, budget)
    return {layer: int(widths[i]) for (layer, widths), i in zip(cost.widths.items(), choice, strict=True)}


def _best(values: Sequence[Costs], cost: ChainCost, budget: float, steps: int) -> list[int] | None:
    """Positions of the best widths, costs rounded up to `steps` of the budget; None where rounded costs never fit."""
    least = [float(term.min()) for term in cost.terms]
    step = (budget - sum(least)) / steps
    if step <= 0:
        return None
    used = [_steps(term - low, step, steps) for term, low in zip(cost.terms, least, strict=True)]
    # best[layer][j, c]: the largest sum up to this layer with its j-th width, and at most c steps used.
    best = [_extended(np.zeros((1, steps + 1)), used[0], values[0])]
    for own, value in zip(used[1:], values[1:], strict=True):
        best.append(_extended(best[-1], own, value))
    left, choice = steps, [int(best[-1][:, steps].argmax())]
    if best[-1][choice[0], steps] == -np.inf:
        return None
    for layer in range(len(values) - 1, 0, -1):
        after = used[layer][:, choice[0]]
        sums = [best[layer - 1][i, left - taken] if taken <= left else -np.inf for i, taken in enumerate(after)]
        choice.insert(0, int(np.argmax(sums)))
        left -= int(after[choice[0]])
    return choice


def _steps(costs: Costs, step: float, most: int) -> NDArray[np.int64]:
    """Costs in steps, rounded up; more than the budget has is one step too many."""
    return np.ceil(costs / step).clip(max=most + 1).astype(np.int64)


def _extended(before: Costs, used: NDArray[np.int64], value: Costs) -> Costs:
    """The table of one layer more: for each of its widths the best of the layer before that leaves enough steps."""
    steps = before.shape[1] - 1
    after = np.full((len(value), steps + 1), -np.inf)
    for own, row in enumerate(after):
        for i, taken in enumerate(used[:, own]):
            if taken <= steps:
                np.maximum(row[taken:], before[i, : steps + 1 - taken], out=row[taken:])
    return after + value[:, None]


def _filled(choice: list[int], values: Sequence[Costs], cost: ChainCost, budget: float) -> list[int]:
    """`choice`, with the next width of one layer after the other while one fits that adds to the sum, the one that
    gains most for its cost first."""
    while True:
        best, rate = None, 0.0
        for layer, i in enumerate(choice):
            if i + 1 == len(values[layer]):
                continue
            wider = [*choice[:layer], i + 1, *choice[layer + 1 :]]
            total, gain = cost.total(wider), float(values[layer][i + 1] - values[layer][i])
            if total <= budget and gain / max(total - cost.total(choice), 1e-300) > rate:
                best, rate = wider, gain / max(total - cost.total(choice), 1e-300)
        if best is None:
            return choice
        choice = best
