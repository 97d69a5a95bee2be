"""The runs of one command and what has become of each: who trains them, and where, knows nothing of the others."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bcnn_prune.evaluation.isolated_latency import LatencyError
from bcnn_prune.files import write_text
from bcnn_prune.protocol import RunAborted
from bcnn_prune.records import DatasetInfo, RunRecord, to_json
from bcnn_prune.training.fit import Diverged
from experiments.grid.phases import Phase
from experiments.grid.planning import PlannedRun
from experiments.grid.schedule import ScheduledRun, jobs
from experiments.run.record import require_no_other, run_folder
from experiments.run.run import require_trainable
from experiments.run.settings import recipes_for

EXPECTED = (RunAborted, Diverged, LatencyError, ValueError, OSError)
"""Errors whose message is written for the user."""


@dataclass
class GridState:
    """Runs by their position; a run is finished when it has a record, and has failed when it says why."""

    runs: Sequence[tuple[DatasetInfo, PlannedRun]]
    records: list[RunRecord | None]
    trained: set[Phase] = field(default_factory=set)
    """Phases that lie among the runs' own files, so that nobody needs to train them."""
    failed: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, runs: Sequence[tuple[DatasetInfo, PlannedRun]]) -> "GridState":
        """Runs, with the records that are there already. Those that cannot be trained have failed with the reason."""
        grid = cls(runs, [run.record(info) for info, run in runs])
        for at, (info, run) in enumerate(runs):
            try:
                if grid.records[at] is None:
                    require_trainable(run.settings, info, recipes_for(run.settings, info))
                elif run.record_at(run.places(info)["--out"], info) is not None:
                    grid.trained.update(run.phases)
                    grid._copy_to_results(at)
                # Else it stands among the results alone: it comes without its phases, and stays as it is.
            except (ValueError, OSError) as error:
                grid.records[at], grid.failed[at] = None, str(error)
        return grid

    def name(self, at: int) -> str:
        info, run = self.runs[at]
        return f"{run.experiment} {info.name} {run.settings.name(info)}"

    def left(self) -> list[int]:
        """The runs that have not ended, in order."""
        return [at for at, record in enumerate(self.records) if record is None and at not in self.failed]

    def ended(self, at: int, failure: str | None = None) -> None:
        """Take the record of a run that finished, or the reason why it did not."""
        info, run = self.runs[at]
        record = run.record(info) if failure is None else None
        if record is None:
            self.failed[at] = failure or "it left no record"
            return
        self.records[at] = record
        self.trained.update(run.phases)

    def jobs(self) -> dict[int, ScheduledRun]:
        """The runs that have not ended, weighed in epochs; one that others build on is the first of them in order."""
        return jobs({at: self.runs[at][1].phases for at in self.left()}, self.trained)

    def epochs_left(self) -> float:
        return sum(job.work for job in self.jobs().values())

    def seconds_an_epoch(self) -> float | None:
        """What an epoch took in the runs that finished; None before there is one."""
        histories = [history for record in self.records if record is not None for history in record.training.values()]
        epochs = sum(len(history.epochs) for history in histories)
        return sum(history.seconds for history in histories) / epochs if epochs else None

    def log(self, at: int) -> Path:
        """Where a run's own lines go, if not to the screen."""
        info, run = self.runs[at]
        return run_folder(run.settings, run.experiment, info) / "log.txt"

    def _copy_to_results(self, at: int) -> None:
        info, run = self.runs[at]
        record, path = self.records[at], run.places(info).get("--results")
        if record is not None and path is not None:
            require_no_other(path, "--results", record.settings, info, record.recipes)
            write_text(path, to_json(record))


def attempted(run: PlannedRun, log: Path) -> str | None:
    """Train a run; why it came to no result, if it did not. The traceback of an error in the program goes to `log`."""
    try:
        run.main(run.settings)
    except EXPECTED as error:
        return str(error)
    except Exception as error:  # whatever it is, the other runs must get their turn
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
        return f"{summed_up(error)} (see {log})"
    return None


def summed_up(error: BaseException) -> str:
    """An error in the program in one line."""
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
