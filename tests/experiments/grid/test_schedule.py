"""The order of phases: what others need goes first, and bounds on the time of a schedule hold."""

import heapq
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.records import Recipe
from experiments.grid.schedule import epochs_at_least, longest_chains
from experiments.run.flow import Initial, Phase, needs
from tests.helpers.explicit_records import RECIPE
from tests.helpers.strategies import TINY


@st.composite
def graphs(draw: st.DrawFn) -> list[Phase]:
    """Phases, each after those that it needs, of 1 to 9 epochs."""
    phases: list[Phase] = []
    for number in range(draw(st.integers(1, 12))):
        start = draw(st.sampled_from([Initial("images", 0, TINY, "none"), *phases]))
        phases.append(Phase(str(number), replace(RECIPE, epochs=draw(st.integers(1, 9))), start))
    return phases


def scheduled(phases: list[Phase], workers: int) -> float:
    """Epochs of a schedule in which each worker takes the most urgent phase that may start."""
    chains, now, done = longest_chains(phases), 0, set[Phase]()
    left, running = sorted(phases, key=lambda phase: -chains[phase]), list[tuple[int, int, Phase]]()
    while left or running:
        for phase in [phase for phase in left if done.issuperset(needs(phase))][: workers - len(running)]:
            left.remove(phase)
            heapq.heappush(running, (now + phase.epochs, phases.index(phase), phase))
        now, _, ended = heapq.heappop(running)
        done.add(ended)
    return now


@given(graphs(), st.integers(1, 5))
def test_no_schedule_beats_the_bound_and_the_urgent_one_keeps_grahams(phases: list[Phase], workers: int) -> None:
    least, chain = epochs_at_least(phases, workers), max(longest_chains(phases).values())
    work = sum(phase.epochs for phase in phases)
    assert least - 1e-9 <= scheduled(phases, workers) <= work / workers + chain * (1 - 1 / workers) + 1e-9
    assert epochs_at_least(phases, 1) == work == scheduled(phases, 1)
    assert epochs_at_least(phases, len(phases)) == chain == scheduled(phases, len(phases))


@given(graphs())
def test_in_order_of_urgency_phases_still_follow_those_that_they_need(phases: list[Phase]) -> None:
    chains, before = longest_chains(phases), set[Phase]()
    for phase in sorted(phases, key=lambda phase: -chains[phase]):
        assert before.issuperset(needs(phase))
        before.add(phase)


def test_trained_phases_take_no_time() -> None:
    dense = Phase("dense", RECIPE, Initial("images", 0, TINY, "none"))
    recipe = replace(RECIPE, epochs=3)
    sparse = dense.then("sparse", recipe)
    assert isinstance(sparse.recipe, Recipe)
    assert longest_chains([sparse]) == {sparse: 3}
    assert epochs_at_least([], 2) == 0
