"""The runs of a grid in this process, one after the other."""

from dataclasses import replace

from rich.console import Console

from experiments.grid.state import EXPECTED, GridState
from experiments.run.estimate import in_words, seconds
from experiments.run.flow import Flow, initial, known
from experiments.run.run import prepare_run
from experiments.run.settings import recipes_for


def run(grid: GridState, console: Console) -> None:
    """Train all runs that are left. A run that fails does not stop the others.

    Each run finds the phases that it shares with earlier ones in the cache, so every phase is trained once."""
    estimate: float | None = None
    for position in grid.left():
        info, flow = grid.runs[position]
        time = grid.seconds_left(1, estimate)
        if time is None and (estimate := _estimated_seconds_per_epoch(flow)):
            time = grid.seconds_left(1, estimate)
        left = f", about {in_words(time)}" if time else ""
        console.rule(f"run {position + 1} of {len(grid.runs)}: {flow.experiment} on {info.name}")
        console.print(f"{flow.settings.name(info)}. {len(grid.left())} runs to go{left}.")
        grid.ended(position, grid.ending(position).attempt())
        if reason := grid.failed.get(position):
            console.print(f"{grid.name(position)}: {reason}", style="bold")


def _estimated_seconds_per_epoch(flow: Flow) -> float | None:
    """A guess from a few batches, before any run has finished. None where that fails, as the run itself will then."""
    try:
        run = prepare_run(flow.settings)
        start = initial(flow.settings, run.info)
        recipe = replace(recipes_for(flow.settings, run.info).dense, epochs=1)
        return seconds(run.context, run.first_weights(known(start.spec), start.weights, start.narrow), [recipe])
    except EXPECTED:
        return None
