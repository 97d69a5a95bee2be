"""Iterative pruning (thesis table 4.5).

    python -m experiments.iterative --dataset cars --prune 0.8 --steps 4

cuts as many channels as one-shot pruning would, but in equal shares of the original channels (20, 40, 60 and 80 %),
training after each. A table, a record with every step, a checkpoint and the γ figure end in runs/iterative."""

from dataclasses import dataclass, replace

from bcnn_prune.command_line.check import at_least
from bcnn_prune.protocol import Selection, fine_tune, prune
from bcnn_prune.pruning.budget_split import drop_counts
from bcnn_prune.records import PruneStep
from bcnn_prune.spec import ModelSpec
from experiments.run import cli
from experiments.run.cut_settings import PruneSettings
from experiments.run.record import finish, reserve
from experiments.run.run import prepare_run, train_base_networks, train_controls
from experiments.run.settings import recipes_for


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """Those of all pruning runs, and the number of cuts."""

    steps: int = 4
    """Cuts, each of an equal share of the original channels."""

    def check(self) -> None:
        super().check()
        at_least(1, steps=self.steps)

    def to_drop_in_step(self, done: int, whole: ModelSpec, before: ModelSpec, side: int) -> int | Selection:
        """How many channels the cut of this number, from 1, takes of the network `before` it; for a budget, the
        function that selects them: each cut goes as far towards it as the others."""
        if self.prune is None:
            return self.selection(self.budget(whole, side).part(whole, done / self.steps))
        asked = sum(drop_counts(whole.channels, self.prune, self.steps)[:done])
        return asked - (whole.channels - before.channels)  # what a cut before gave back, to round widths up, goes now


def main(settings: Settings) -> None:
    settings.check()
    run = prepare_run(settings)
    reserve(run, "iterative")
    run = train_base_networks(run, tunings=settings.steps * (1 + settings.control))
    model, steps, epochs, whole = run.sparse, list[PruneStep](), 0, run.spec()
    for done in range(1, settings.steps + 1):
        cut = settings.cut(settings.to_drop_in_step(done, whole, model.spec, run.info.side))
        narrow, step = prune(run.context, model, replace(cut, min_share_of=whole))
        share = (
            1 - step.spec.channels / whole.channels
            if settings.prune is None
            else settings.prune * done / settings.steps
        )
        recipe = recipes_for(settings, run.info, share).fine_tune
        model, step = fine_tune(run.context, narrow, step, recipe)
        steps.append(step)
        epochs += recipe.epochs
    if settings.control:
        run = train_controls(run, replace(run.recipes.fine_tune, epochs=epochs))
    finish(run, "iterative", model, tuple(steps))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
