"""In which order runs are trained where several are trained at once, and how long that takes.

A phase that runs share is trained by the first of them in the list; the others wait for it, so that no worker idles
where that run holds the phase's folder. Of those that may start, the one that the most work hangs on goes first."""

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from experiments.grid.phases import Phase


@dataclass(frozen=True)
class ScheduledRun:
    """A run as its scheduler sees it."""

    work: float
    """Epochs that it trains itself."""
    after: frozenset[int]
    """The jobs that train what it builds on: all have lower numbers."""


def jobs(runs: Mapping[int, Sequence[Phase]], trained: Collection[Phase] = ()) -> dict[int, ScheduledRun]:
    """A job for each run, given as the phases that it goes through; `trained` are there already.

    Work is counted in epochs. That a pruned network's epoch is shorter is left out."""
    trainer: dict[Phase, int] = {}
    found = {}
    for at, phases in sorted(runs.items()):
        left = [phase for phase in dict.fromkeys(phases) if phase not in trained]
        own = [phase for phase in left if trainer.setdefault(phase, at) == at]
        found[at] = ScheduledRun(
            sum(phase.recipe.epochs for phase in own), frozenset(trainer[phase] for phase in left) - {at}
        )
    return found


def tails(jobs: Mapping[int, ScheduledRun]) -> dict[int, float]:
    """For each job, the work of the longest chain that starts with it: nothing ends the whole sooner."""
    longest = dict.fromkeys(jobs, 0.0)
    for at in sorted(jobs, reverse=True):
        longest[at] += jobs[at].work
        for before in jobs[at].after:
            longest[before] = max(longest[before], longest[at])
    return longest


def in_order(jobs: Mapping[int, ScheduledRun]) -> list[int]:
    """Those that may start now, the most urgent first."""
    urgency = tails(jobs)
    return sorted((at for at, job in jobs.items() if not job.after), key=lambda at: (-urgency[at], at))


def makespan(jobs: Mapping[int, ScheduledRun], workers: int) -> float:
    """How long `workers` take that each do one job at a time, one unit of work in one unit of time."""
    urgency, waits = tails(jobs), {at: set(job.after) for at, job in jobs.items()}
    ready = [(-urgency[at], at) for at in in_order(jobs)]
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            _, at = heapq.heappop(ready)
            heapq.heappush(running, (now + jobs[at].work, at))
        now, done = heapq.heappop(running)
        for at, waiting in waits.items():
            if done in waiting:
                waiting.remove(done)
                if not waiting:
                    heapq.heappush(ready, (-urgency[at], at))
    return now
