"""State of a grid: which runs are finished, failed or left, and the tasks that are left of them."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bcnn_prune.evaluation.isolated_latency import LatencyError
from bcnn_prune.files import write_text
from bcnn_prune.protocol import RunAborted
from bcnn_prune.records import DatasetInfo, RunRecord, to_json
from bcnn_prune.training.fit import Diverged
from experiments.grid.schedule import epochs_at_least, longest_chains
from experiments.run.execute import execute_one
from experiments.run.flow import Flow, Phase, needs, phases_to
from experiments.run.record import finished_record, places, record_at, require_no_other, run_folder
from experiments.run.run import require_trainable, require_trainable_phases

EXPECTED = (RunAborted, Diverged, LatencyError, ValueError, OSError)
"""Errors whose message is written for the user."""


@dataclass(frozen=True)
class Task:
    """Work of one process: a phase, or the end of a run, which prunes, measures and writes the record."""

    run: int
    """Position of the run: for a phase that several runs share, that of the first one."""
    phase: Phase | None
    """None for the end of a run."""
    after: tuple[Phase, ...]
    """Phases that must be trained before."""
    work: Callable[[], object]
    log: Path

    def attempt(self) -> str | None:
        """Do the work; return the reason where it fails. The traceback of an unexpected error goes to the log."""
        try:
            self.work()
        except EXPECTED as error:
            return str(error)
        except Exception as error:  # whatever it is, the other tasks must get their turn
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("a", encoding="utf-8") as file:
                traceback.print_exception(error, file=file)
            return f"{in_one_line(error)} (see {self.log})"
        return None


@dataclass
class GridState:
    """Runs by their position; a run is finished when it has a record, and has failed when there is a reason."""

    runs: Sequence[tuple[DatasetInfo, Flow]]
    records: list[RunRecord | None]
    trained: set[Phase] = field(default_factory=set)
    """Phases whose networks are in the cache."""
    failed: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, runs: Sequence[tuple[DatasetInfo, Flow]]) -> "GridState":
        """Runs, with the records that are there already. Those that cannot be trained have failed with the reason."""
        grid = cls(runs, [finished_record(flow, info) for info, flow in runs])
        for position, (info, flow) in enumerate(runs):
            try:
                if grid.records[position] is None:
                    flow.settings.check()
                    require_trainable(flow.settings, info)
                    require_trainable_phases(flow, info)
                elif record_at(places(flow, info)["--out"], flow, info) is not None:
                    grid.trained.update(flow.phases)
                    grid._copy_to_results(position)
                # Else the record is among the results alone: it comes without its phases, and stays as it is.
            except (ValueError, OSError) as error:
                grid.records[position], grid.failed[position] = None, str(error)
        return grid

    def name(self, position: int) -> str:
        info, flow = self.runs[position]
        return f"{flow.experiment} {info.name} {flow.settings.name(info)}"

    def folder(self, position: int) -> Path:
        """The folder that a run ends in, and logs to."""
        info, flow = self.runs[position]
        return run_folder(flow.settings, flow.experiment, info)

    def left(self) -> list[int]:
        """The runs that have neither finished nor failed, in order."""
        return [
            position for position, record in enumerate(self.records) if record is None and position not in self.failed
        ]

    def phases_left(self) -> dict[Phase, int]:
        """The union of the phases of all runs that are left, each after those that it needs, with its first run."""
        first: dict[Phase, int] = {}
        for position in self.left():
            for phase in self.runs[position][1].phases:
                if phase not in self.trained:
                    first.setdefault(phase, position)
        return first

    def tasks(self) -> list[Task]:
        """A task for each phase that is left, the most urgent first, then one for the end of each run."""
        phases = self.phases_left()
        chains = longest_chains(phases)
        tasks = []
        for phase in sorted(phases, key=lambda phase: -chains[phase]):
            position = phases[phase]
            log = self.folder(position) / f"log-{len(phases_to(phase))}-{phase.name}.txt"
            tasks.append(Task(position, phase, needs(phase), partial(execute_one, self.runs[position][1], phase), log))
        return tasks + [self.ending(position) for position in self.left()]

    def ending(self, position: int) -> Task:
        """The end of a run; done alone, it trains all phases of the run that are not in the cache."""
        flow = self.runs[position][1]
        return Task(position, None, flow.phases, partial(execute_one, flow), self.folder(position) / "log.txt")

    def ended(self, position: int, failure: str | None = None) -> None:
        """Take the record of a run that finished, or the reason for which it did not."""
        info, flow = self.runs[position]
        record = finished_record(flow, info) if failure is None else None
        if record is None:
            self.failed[position] = failure or "it left no record"
            return
        self.records[position] = record
        self.trained.update(flow.phases)

    def seconds_left(self, workers: int, seconds_per_epoch: float | None = None) -> float | None:
        """Training time of all that is left, by the epochs of the runs that finished; None before there is one, unless
        an estimate is given."""
        histories = [history for record in self.records if record is not None for history in record.training.values()]
        if epochs := sum(len(history.epochs) for history in histories):
            seconds_per_epoch = sum(history.seconds for history in histories) / epochs
        return None if seconds_per_epoch is None else seconds_per_epoch * epochs_at_least(self.phases_left(), workers)

    def _copy_to_results(self, position: int) -> None:
        info, flow = self.runs[position]
        record, path = self.records[position], places(flow, info).get("--results")
        if record is not None and path is not None:
            require_no_other(path, "--results", record.settings, info, record.recipes)
            write_text(path, to_json(record))


def in_one_line(error: BaseException) -> str:
    """An unexpected error in one line."""
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
