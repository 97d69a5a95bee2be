"""The order of runs: what they share is trained once, nobody waits in vain, and a schedule keeps its bounds."""

from hypothesis import given
from hypothesis import strategies as st

from experiments.grid.schedule import ScheduledRun, in_order, makespan, tails


@st.composite
def graphs(draw: st.DrawFn) -> dict[int, ScheduledRun]:
    """Jobs of whole work, each after some of those before it."""
    count = draw(st.integers(1, 12))
    return {
        index: ScheduledRun(
            draw(st.integers(0, 9)), draw(st.frozensets(st.integers(0, index - 1))) if index else frozenset()
        )
        for index in range(count)
    }


@given(graphs(), st.integers(1, 5))
def test_no_schedule_beats_the_longest_chain_or_breaks_grahams_bound(
    graph: dict[int, ScheduledRun], workers: int
) -> None:
    work, chain = sum(job.work for job in graph.values()), max(tails(graph).values())
    least, most = max(chain, work / workers), work / workers + chain * (1 - 1 / workers)
    assert least - 1e-9 <= makespan(graph, workers) <= most + 1e-9
    assert makespan(graph, 1) == work
    assert makespan(graph, len(graph)) == chain


def test_the_most_urgent_goes_first() -> None:
    none: frozenset[int] = frozenset()
    graph = {
        0: ScheduledRun(1, none),
        1: ScheduledRun(5, none),
        2: ScheduledRun(9, frozenset({0})),
        3: ScheduledRun(7, none),
    }
    assert tails(graph) == {0: 10, 1: 5, 2: 9, 3: 7}
    assert in_order(graph) == [0, 3, 1]
    assert makespan(graph, 2) == 12  # 0 ends at 1 and 2 at 10; 3 ends at 7, and 1 after it at 12
