"""Budgets: read as they are written, met by the smallest cut, and refused with what can be had."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.pruning.importance import with_blocks
from bcnn_prune.pruning.ranking import keep_highest, min_widths
from bcnn_prune.pruning.select import round_widths_up
from bcnn_prune.pruning.sparsity import scales
from bcnn_prune.spec import ModelSpec
from experiments.run.budget import Budget, amount
from tests.helpers.strategies import TINY, random_model, scores

SIDE = 16


@pytest.mark.parametrize(
    ("text", "number"), [("800000", 8e5), ("800k", 8e5), ("5M", 5e6), ("1.5G", 1.5e9), ("0.2M", 2e5)]
)
def test_amounts_are_read(text: str, number: float) -> None:
    assert amount("--max-params", text) == number


@pytest.mark.parametrize("text", ["", "5 M", "-3", "5MB", "m", "0", "1e6", "0.0k"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"--max-macs is .*: take a number such as"):
        amount("--max-macs", text)


@given(scores(TINY), st.integers(1, 3), st.sampled_from([1, 2, 4]), st.data())
def test_the_cut_meets_both_limits_and_one_channel_less_breaks_one(
    values: dict[str, torch.Tensor], floor: int, multiple: int, data: st.DataObject
) -> None:
    least = total_cost(ModelSpec(TINY.backbone, tuple(min(4, width) for width in TINY.widths), 3), SIDE)
    whole = total_cost(TINY, SIDE)
    params = data.draw(st.none() | st.integers(least.params, whole.params))
    macs = data.draw(st.none() | st.integers(least.macs, whole.macs))
    budget = Budget(SIDE, params, macs)
    budget.require_possible(TINY, min_widths(TINY.width_of, floor), multiple)

    def met(drop: int) -> bool:
        cost = total_cost(round_widths_up(keep_highest(values, drop, floor), values, multiple).narrow(TINY), SIDE)
        return (params is None or cost.params <= params) and (macs is None or cost.macs <= macs)

    drop = budget.drop(TINY, values, floor, multiple)
    assert met(drop)
    assert drop == 0 or not met(drop - 1)


@given(scores(TINY), st.sampled_from([1, 2]), st.sampled_from(["params", "macs"]), st.floats(0.3, 0.9))
@settings(max_examples=3)
def test_exact_allocation_meets_the_budget_and_multiples(
    values: dict[str, torch.Tensor], multiple: int, kind: str, share: float
) -> None:
    least = replace(TINY, widths=tuple(min(2, width) for width in TINY.widths))
    low, whole = (getattr(total_cost(spec, SIDE), kind) for spec in (least, TINY))
    limit = low + share * (whole - low)
    plan = Budget(SIDE, **{kind: limit}).allocate(TINY, values, min_widths(TINY.width_of, 1), multiple)
    narrow = plan.narrow(TINY)
    assert getattr(total_cost(narrow, SIDE), kind) <= limit
    assert all(after % multiple == 0 or after == all_ for after, all_ in zip(narrow.widths, TINY.widths, strict=True))


def test_a_budget_below_the_floor_says_what_can_be_had() -> None:
    least = total_cost(ModelSpec(TINY.backbone, (2,) * 8, 3), SIDE)
    with pytest.raises(ValueError, match=rf"--max-params 10 cannot be met: with 2 channels .* still {least.params:,} "):
        Budget(SIDE, params=10).require_possible(TINY, min_widths(TINY.width_of, 2), multiple=1)


@pytest.mark.parametrize("backbone", ["mobilenet", "student", "small-cnn-grouped"])
def test_exact_allocation_meets_the_budget_of_any_backbone(backbone: str) -> None:
    spec = ModelSpec.of(backbone, 3, 0.5 if "small" in backbone else 0.1, batch_norm=True)
    ranking = with_blocks({layer: values + 0.1 for layer, values in scales(random_model(spec)).items()}, spec.blocks)
    fewest = {layer: spec.blocks.get(layer, 1) for layer in spec.layers}
    budget = Budget(side=32, macs=0.6 * total_cost(spec, 32).macs)
    plan = budget.allocate(spec, ranking, fewest, 1)
    assert budget.is_met_by(plan.narrow(spec))
    assert plan == plan.completed(spec)
