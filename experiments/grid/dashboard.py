"""A live table of a running grid; without a terminal, a line per run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from experiments.grid.state import GridState, Task
from experiments.run.estimate import in_words

TAIL = 4096  # bytes of a log that are looked at: some thirty lines


class Dashboard:
    """Tasks that run, with the last line of their logs; counts of runs, time left, and the best cut so far."""

    def __init__(self, console: Console, grid: GridState) -> None:
        self._console, self._grid = console, grid
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._best = tuple(_best(grid))

    def __enter__(self) -> "Dashboard":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, running: Sequence[Task], at_once: int) -> None:
        """Redraw the table, on a terminal."""
        if self._live:
            counts = f"{len(running)} tasks running, {self._counts(at_once)}"
            self._live.update(Group(self._table(running), *map(Text, (counts, *self._best))), refresh=True)

    def ended(self, position: int, at_once: int) -> None:
        """Print a line for a run that has ended, if it failed or there is no table."""
        failure = self._grid.failed.get(position)
        if failure is not None or not self._live:
            counts = "" if self._live else f" ({self._counts(at_once)})"
            self._console.print(f"{self._grid.name(position)}: {failure or 'finished'}{counts}")
        before, self._best = self._best, tuple(_best(self._grid))
        if not self._live:
            for line in self._best:
                if line not in before:
                    self._console.print(line)

    def _table(self, running: Sequence[Task]) -> Table:
        table = Table("flow", "data set", "settings", "phase", "progress", title="running")
        for task in running:
            info, flow = self._grid.runs[task.run]
            phase = "end" if task.phase is None else task.phase.name
            table.add_row(
                *map(Text, (flow.experiment, info.name, flow.settings.name(info), phase, last_line(task.log)))
            )
        return table

    def _counts(self, at_once: int) -> str:
        left, failed = len(self._grid.left()), len(self._grid.failed)
        seconds = self._grid.seconds_left(at_once) if left and at_once else None
        time = f", about {in_words(seconds)}" if seconds else ""
        return f"{len(self._grid.runs) - left - failed} runs done, {failed} failed, {left} left{time}"


def last_line(log: Path) -> str:
    """The last line of a task's log that is not empty."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            lines = file.read().decode(errors="replace").split("\n")
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _best(grid: GridState) -> Iterator[str]:
    """Per data set, the smallest network that still equals the dense one: val chooses, test is reported."""
    # Here, not at the top: it groups records with pandas, which only a grid at work needs.
    from thesis_figures.analysis.findings import EQUAL, smallest_equal

    for data_set, best in smallest_equal(record for record in grid.records if record is not None).items():
        if best.empty:
            yield f"{data_set}: no cut yet within {EQUAL:g} point of the dense network on val"
            continue
        dense = fmean(run.test["dense"].accuracy for run in best["record"])
        yield (
            f"{data_set}: best so far {best['share_of_dense'].mean():.1%} of the parameters at "
            f"{best['accuracy_percent'].mean():.2f}% of the test images, "
            f"dense {dense:.2%} ({best['flow'].iloc[0]}, n = {len(best)})"
        )
