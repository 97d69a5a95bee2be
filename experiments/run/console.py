"""Output of a run while it trains: a line per epoch, and on a terminal a bar inside the epoch."""

from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from bcnn_prune.model.network import Trainable
from bcnn_prune.records import EpochStats, History, Recipe
from experiments.run.distributed import rank


def terminal() -> Console:
    """The screen; where there is none, lines as long as they are. Of several processes rank 0 alone speaks.

    Brackets are printed as they are: they may be part of a path."""
    if rank():
        return Console(quiet=True, force_terminal=False)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, markup=False, soft_wrap=True, width=140)


class TerminalCallback:
    """Prints each finished epoch: loss, accuracies, share of BN scales at zero, time left in the phase."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._phase = ""
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._seconds: list[float] = []

    def on_phase_start(self, name: str, recipe: Recipe, folder: Path) -> None:
        self._phase, self._seconds = name, []
        strength = f", λ {recipe.sparsity:g}, last layer {recipe.last_sparsity:g}" if recipe.sparsity else ""
        if recipe.sparsity_share:
            strength = f", λ for {recipe.sparsity_share:.0%} of γ at zero"
        told = recipe.distillation
        taught = f", distillation at T {told.temperature:g}, weight {told.weight:g}" if told else ""
        summary = f"{recipe.epochs} epochs, rate {recipe.learning_rate:g}{strength}{taught}"
        self._console.print("\n", Text(name, "bold"), f": {summary}", sep="")

    def on_cache_hit(self, name: str, history: History, folder: Path) -> None:
        kept = history.kept
        summary = f"finished before, val {kept.val.accuracy:.3f} (from {folder})"
        self._console.print("\n", Text(name, "bold"), f": {summary}", sep="")

    def on_wait(self, folder: Path) -> None:
        self._console.print(f"another run holds {folder}: waiting for it")

    def on_batch(self, done: int, total: int) -> None:
        if self._console.is_terminal:
            if self._bar is None:
                columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
                self._bar = Progress(*columns, console=self._console, transient=True)
                self._task = self._bar.add_task("batches", total=total)
                self._bar.start()
            self._bar.update(self._task, completed=done)

    def on_epoch(self, stats: EpochStats, epochs: int, model: Trainable) -> None:
        self.close()
        self._seconds.append(stats.seconds)
        left = sum(self._seconds) / len(self._seconds) * (epochs - stats.epoch)
        on_labels = "" if stats.label_loss is None else f" (labels {stats.label_loss:7.4f})"
        self._console.print(
            f"{self._phase} {stats.epoch:>3}/{epochs}  loss {stats.loss:7.4f}{on_labels}  "
            f"train {stats.train.accuracy:.3f}  val {stats.val.accuracy:.3f}  γ at zero {stats.scales_at_zero:4.0%}  "
            f"{timedelta(seconds=round(left))} left"
        )

    def close(self) -> None:
        """Remove the bar: after an epoch, and when a run is interrupted."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
