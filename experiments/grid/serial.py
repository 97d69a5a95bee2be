"""The runs of a grid in this process, one after the other."""

from dataclasses import replace

from rich.console import Console

from experiments.grid.planning import PlannedRun
from experiments.grid.state import EXPECTED, GridState, attempted
from experiments.run.estimate import in_words, seconds
from experiments.run.run import prepare_run


def run(grid: GridState, console: Console) -> None:
    """Train all runs that are left. A run that fails does not stop the others."""
    for position in grid.left():
        info, planned = grid.runs[position]
        seconds_per_epoch = grid.seconds_an_epoch() or _estimated_seconds_per_epoch(planned)
        left = f", about {in_words(grid.epochs_left() * seconds_per_epoch)}" if seconds_per_epoch else ""
        console.rule(f"run {position + 1} of {len(grid.runs)}: {planned.experiment} on {info.name}")
        console.print(f"{planned.settings.name(info)}. {len(grid.left())} runs to go{left}.")
        grid.ended(position, attempted(planned, grid.log(position)))
        if reason := grid.failed.get(position):
            console.print(f"{grid.name(position)}: {reason}", style="bold")


def _estimated_seconds_per_epoch(planned: PlannedRun) -> float | None:
    """A guess from a few batches, before any run has finished. None where that fails, as the run itself will then."""
    try:
        run = prepare_run(planned.settings)
        model = run.first_weights(run.spec(), run.recipes.weights)
        return seconds(run.context, model, [replace(run.recipes.dense, epochs=1)])
    except EXPECTED:
        return None
