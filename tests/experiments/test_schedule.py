"""The order of runs: what they share is trained once, nobody waits in vain, and a schedule keeps its bounds."""

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.records import RunRecord
from experiments.chapter import Run, chapter
from experiments.phases import Phase
from experiments.schedule import Job, in_order, jobs, makespan, tails
from tests.small_chapter import records, settings


@st.composite
def graphs(draw: st.DrawFn) -> dict[int, Job]:
    """Jobs of whole work, each after some of those before it."""
    count = draw(st.integers(1, 12))
    return {
        at: Job(draw(st.integers(0, 9)), draw(st.frozensets(st.integers(0, at - 1))) if at else frozenset())
        for at in range(count)
    }


@given(graphs(), st.integers(1, 5))
def test_no_schedule_beats_the_longest_chain_or_breaks_grahams_bound(graph: dict[int, Job], workers: int) -> None:
    work, chain = sum(job.work for job in graph.values()), max(tails(graph).values())
    least, most = max(chain, work / workers), work / workers + chain * (1 - 1 / workers)
    assert least - 1e-9 <= makespan(graph, workers) <= most + 1e-9
    assert makespan(graph, 1) == work
    assert makespan(graph, len(graph)) == chain


def test_the_most_urgent_goes_first() -> None:
    none: frozenset[int] = frozenset()
    graph = {0: Job(1, none), 1: Job(5, none), 2: Job(9, frozenset({0})), 3: Job(7, none)}
    assert tails(graph) == {0: 10, 1: 5, 2: 9, 3: 7}
    assert in_order(graph) == [0, 3, 1]
    assert makespan(graph, 2) == 12  # 0 ends at 1 and 2 at 10; 3 ends at 7, and 1 after it at 12


def chapter_of(finished: Path) -> tuple[list[Run], dict[str, RunRecord]]:
    """The runs, and what they left by their files' names."""
    found = records(finished / "whole" / "results")
    return list(chapter(settings(finished, "whole"), next(iter(found.values())).data, seed=0)), found


def test_runs_name_each_phase_that_they_train_and_no_other(finished: Path) -> None:
    """Equal phases of two runs are one folder of states: so many are there, of each kind."""
    runs, _ = chapter_of(finished)
    told = Counter(phase.name for phase in {phase for run in runs for phase in run.phases})
    assert told == Counter(path.name.rpartition("-")[0] for path in finished.glob("whole/phases/*/*"))


def test_runs_name_the_epochs_of_their_phases(finished: Path) -> None:
    runs, found = chapter_of(finished)
    for run in runs:
        record = found[f"{run.experiment}/drawn-cars3/{run.settings.name()}.json"]
        trained = {name: len(history.epochs) for name, history in record.training.items() if name != "scratch-compute"}
        named = {phase.name: phase.recipe.epochs for phase in run.phases}
        assert {name: named[name] for name in trained} == trained
        tuned = [len(step.fine_tuning.epochs) for step in record.steps if step.fine_tuning]
        assert [phase.recipe.epochs for phase in run.phases if phase.name == "fine-tune"] == tuned


def test_runs_that_may_start_together_share_no_phase_that_is_still_to_be_trained(finished: Path) -> None:
    runs, _ = chapter_of(finished)
    left, trained, rounds = {at: run.phases for at, run in enumerate(runs)}, set[Phase](), 0
    while left:
        ready = in_order(jobs(left, trained))
        own = [phase for at in ready for phase in {*left[at]} - trained]
        assert len(own) == len(set(own))
        trained.update(own)
        for at in ready:
            del left[at]
        rounds += 1
    assert rounds <= 3  # dense and sparse; the heavier sparse, and most of the others; what shares a control with them
