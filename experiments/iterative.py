"""Iterative pruning (thesis table 4.5).

    python -m experiments.iterative --dataset cars --prune 0.8 --steps 4

cuts as many channels as one-shot pruning would, but in equal shares of the original channels (20, 40, 60 and 80 %),
training after each. A table, a record with every step, a checkpoint and the γ figure end in runs/iterative."""

from dataclasses import dataclass, replace
from itertools import accumulate

from bcnn_prune.command_line.check import at_least
from bcnn_prune.protocol import prune_and_fine_tune
from bcnn_prune.pruning.budget_split import drop_counts
from bcnn_prune.records import PruneStep
from experiments.run import cli
from experiments.run.record import finish, reserve
from experiments.run.run import prepare_run, train_base_networks
from experiments.run.settings import PruneSettings, recipes_for


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """Those of all pruning runs, and the number of cuts."""

    steps: int = 4
    """Cuts, each of an equal share of the original channels."""

    def check(self) -> None:
        super().check()
        at_least(1, steps=self.steps)


def main(settings: Settings) -> None:
    settings.check()
    run = prepare_run(settings)
    reserve(run, "iterative")
    run = train_base_networks(run, tunings=settings.steps * (1 + settings.control))
    model, steps, epochs = run.sparse, list[PruneStep](), 0
    channels = model.spec.channels
    for done, asked in enumerate(accumulate(drop_counts(channels, settings.prune, settings.steps)), 1):
        drop = asked - (channels - model.spec.channels)  # what a cut before gave back, to round widths up, goes now
        share = settings.prune * done / settings.steps
        recipe = recipes_for(settings, run.info, share).fine_tune
        model, step = prune_and_fine_tune(run.context, model, settings.cut(drop), recipe)
        steps.append(step)
        epochs += recipe.epochs
    if settings.control:
        run = run.train("control", run.sparse, replace(run.recipes.fine_tune, epochs=epochs))
    finish(run, "iterative", model, tuple(steps))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
