"""A live table of a running grid; without a terminal, a line per run."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from experiments.grid.schedule import makespan
from experiments.grid.state import GridState
from experiments.run.estimate import in_words

TAIL = 4096  # bytes of a log that are looked at: some thirty lines


class Dashboard:
    """Running, done, left and best so far. `log` tells where a run's lines go: the last one says how far it is."""

    def __init__(self, console: Console, grid: GridState, log: Callable[[int], Path]) -> None:
        self._console, self._grid, self._log = console, grid, log
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._best = tuple(_best(grid))

    def __enter__(self) -> "Dashboard":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, running: Sequence[int], at_once: int) -> None:
        """The table as it stands now, on a terminal."""
        if self._live:
            lines = [Text(self._counts(len(running), at_once)), *map(Text, self._best)]
            self._live.update(Group(self._table(running), *lines), refresh=True)

    def ended(self, at: int, running: int, at_once: int) -> None:
        """What has become of a run: a line of its own where there is no table, or where it failed."""
        failure = self._grid.failed.get(at)
        if failure is not None or not self._live:
            counts = "" if self._live else f" ({self._counts(running, at_once)})"
            said = "finished" if failure is None else failure
            self._console.print(f"{self._grid.name(at)}: {said}{counts}")
        before, self._best = self._best, tuple(_best(self._grid))
        if not self._live:
            for line in self._best:
                if line not in before:
                    self._console.print(line)

    def _table(self, running: Sequence[int]) -> Table:
        table = Table("flow", "data set", "settings", "progress", title="running")
        for at in running:
            info, run = self._grid.runs[at]
            table.add_row(*map(Text, (run.experiment, info.name, run.settings.name(info), last_line(self._log(at)))))
        return table

    def _counts(self, running: int, at_once: int) -> str:
        grid = self._grid
        left, failed = len(grid.left()), len(grid.failed)
        done = len(grid.runs) - left - failed
        seconds = grid.seconds_an_epoch()
        time = f", about {in_words(seconds * makespan(grid.jobs(), at_once))}" if seconds and left and at_once else ""
        return f"{running} running, {done} done, {failed} failed, {left - running} left{time}"


def last_line(log: Path) -> str:
    """The last line of a run's log; what it waits for where there is none yet."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            lines = file.read().decode(errors="replace").split("\n")
    except FileNotFoundError:
        return "waiting for a worker"
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
