"""The runs of one command and what has become of each: who trains them, and where, knows nothing of the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bcnn_prune.files import write_text
from bcnn_prune.records import DatasetInfo, RunRecord, to_json
from experiments.chapter import Run
from experiments.phases import Phase
from experiments.schedule import Job, jobs


@dataclass
class Grid:
    """Runs by their position; a run is finished when it has a record, and has failed when it says why."""

    runs: Sequence[tuple[DatasetInfo, Run]]
    results: Path | None
    """Where records are written, too."""
    records: list[RunRecord | None]
    trained: set[Phase] = field(default_factory=set)
    """Phases that lie among the runs' own files, so that nobody needs to train them."""
    failed: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, runs: Sequence[tuple[DatasetInfo, Run]], results: Path | None) -> "Grid":
        """Runs, with the records that are there already."""
        grid = cls(runs, results, [run.record(info, results) for info, run in runs])
        for at, record in enumerate(grid.records):
            info, run = runs[at]
            # A record that stands among the results alone comes without its phases, and stays as it is.
            if record is not None and run.record(info) is not None:
                grid._keep(at, record)
                grid.trained.update(run.phases)
        return grid

    def name(self, at: int) -> str:
        info, run = self.runs[at]
        return f"{run.experiment} {info.name} {run.settings.name()}"

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
        self._keep(at, record)

    def jobs(self) -> dict[int, Job]:
        """The runs that have not ended, weighed in epochs; one that others build on is the first of them in order."""
        return jobs({at: self.runs[at][1].phases for at in self.left()}, self.trained)

    def epochs_left(self) -> float:
        return sum(job.work for job in self.jobs().values())

    def seconds_an_epoch(self) -> float | None:
        """What an epoch took in the runs that finished; None before there is one."""
        histories = [history for record in self.records if record is not None for history in record.training.values()]
        epochs = sum(len(history.epochs) for history in histories)
        return sum(history.seconds for history in histories) / epochs if epochs else None

    def _keep(self, at: int, record: RunRecord) -> None:
        info, run = self.runs[at]
        if self.results is not None:
            write_text(run.among(self.results, info), to_json(record))
