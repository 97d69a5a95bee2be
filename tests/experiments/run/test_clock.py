"""Budgets of milliseconds: a table measured once, and a plan whose measured time is the one that was asked for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.ranking import min_widths
from bcnn_prune.pruning.select import round_widths_up
from bcnn_prune.spec import ModelSpec
from experiments.run import clock as clocks
from experiments.run.budget import Budget, Tried, next_limit
from experiments.run.clock import Clock
from tests.helpers import width_times
from tests.helpers.width_times import layer_times

SPEC, SIDE = ModelSpec.of("vgg11", 5, 0.25), 32


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    width_times.install(monkeypatch)
    return Clock(SPEC, SIDE, "onnx-int8", tmp_path)


SCORES = {
    layer: torch.rand(width, generator=torch.Generator().manual_seed(width)) for layer, width in SPEC.width_of.items()
}


@pytest.mark.parametrize("kind", ["select", "allocate"])
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_the_measured_time_of_the_plan_is_the_budget(clock: Clock, kind: str, share: float) -> None:
    whole, multiple = clock.measured(SPEC), 8
    budget = Budget(SIDE, ms=share * whole, clock=clock)
    fewest = min_widths(SPEC.width_of, 8)
    budget.require_possible(SPEC, fewest, multiple)
    choose: Callable[..., object] = getattr(budget, kind)
    plan = choose(SPEC, SCORES, fewest, multiple)
    narrow = round_widths_up(plan, SCORES, multiple).narrow(SPEC)
    assert all(width % multiple == 0 for width in narrow.widths)
    assert clock.measured(narrow) == pytest.approx(share * whole, rel=0.1)
    kept = round_widths_up(Budget.keeping_time(share, clock).select(SPEC, SCORES, fewest, multiple), SCORES, multiple)
    assert clock.share(kept.narrow(SPEC)) == pytest.approx(share, rel=0.1)
    assert clock.share(kept.narrow(SPEC)) == clock.measured(kept.narrow(SPEC)) / whole


def test_the_next_limit_lies_between_a_faster_and_a_slower_network() -> None:
    plan = ChannelPlan({})
    fast, slow = Tried(0.5, 0.55, plan), Tried(0.7, 0.95, plan)
    assert next_limit([], 0.75) == 0.75
    assert next_limit([slow], 0.76) == pytest.approx(0.7 * 0.76 / 0.95)
    for order in ([fast, slow], [slow, fast], [Tried(0.4, 0.5, plan), slow, fast, Tried(1.0, 1.2, plan)]):
        assert next_limit(order, 0.75) == pytest.approx(0.6)


@pytest.mark.parametrize("share", [0.35, 0.5, 0.8])
def test_a_table_that_knows_nothing_of_a_cost_that_all_networks_have_is_made_up_for(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """As of a machine on which narrow networks take much longer than their layers say: steps in proportion alone went
    back and forth between two limits, and ended at the smallest network."""
    whole, overhead = clock.predicted(SPEC), 0.3 * clock.predicted(SPEC)
    monkeypatch.setattr(Clock, "share", lambda self, spec: (self.predicted(spec) + overhead) / (whole + overhead))
    fewest = min_widths(SPEC.width_of, 1)
    plan = Budget.keeping_time(share, clock).fill(SPEC, SCORES, fewest, 1)
    assert clock.share(plan.narrow(SPEC)) == pytest.approx(share, rel=0.04)


def test_the_table_is_measured_once(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    said = clock.predicted(SPEC)
    assert said == pytest.approx(sum(layer_times(SPEC).values()))
    clocks._times.cache_clear()
    monkeypatch.setattr(clocks, "layer_milliseconds", None)
    assert clock.predicted(SPEC) == said
    assert replace(clock, side=64) != clock


def test_of_all_shares_the_whole_network_is_exported_once(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    written, write = list[ModelSpec](), clocks.write_shape
    monkeypatch.setattr(
        clocks, "write_shape", lambda path, spec, *more: (written.append(spec), write(path, spec, *more))
    )
    narrow = [replace(SPEC, widths=(width, *SPEC.widths[1:])) for width in (8, 4)]
    shares = [clock.share(spec) for spec in narrow]
    assert shares == [clock.measured(spec) / clock.measured(SPEC) for spec in narrow]
    assert [written.count(spec) for spec in (SPEC, *narrow)] == [2, 2, 2]  # once more to be timed alone


def test_a_budget_below_the_floor_says_what_can_be_had(clock: Clock) -> None:
    with pytest.raises(ValueError, match=r"--max-ms 1e-06 cannot be met: .* ms on this CPU"):
        Budget(SIDE, ms=1e-6, clock=clock).require_possible(SPEC, min_widths(SPEC.width_of, 2), multiple=8)
    with pytest.raises(ValueError, match=r"--keep-ms 0.01 cannot be met"):
        Budget.keeping_time(0.01, clock).require_possible(SPEC, min_widths(SPEC.width_of, 8), multiple=8)
    with pytest.raises(ValueError, match=r"--max-ms .* cannot be met"):
        Budget(SIDE, ms=0.1, clock=clock).require_possible(SPEC, min_widths(SPEC.width_of, 60), multiple=1)


def test_time_enough_keeps_all(clock: Clock) -> None:
    plan = Budget(SIDE, ms=1e3, clock=clock).select(SPEC, SCORES, min_widths(SPEC.width_of, 4), 8)
    assert plan.narrow(SPEC) == SPEC
