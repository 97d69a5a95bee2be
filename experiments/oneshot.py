"""One-shot pruning (thesis table 4.4; with --last-sparsity, table 4.7).

    python -m experiments.oneshot --dataset cars --prune 0.4

trains a dense and a sparse network, cuts the given share of all channels at once, and fine-tunes. On the drawn set it
takes under four minutes on two cores and ends with a table, a record, a checkpoint and the γ figure in runs/oneshot."""

from dataclasses import dataclass

from bcnn_prune.protocol import prune_step
from bcnn_prune.pruning.schedule import drop_counts
from experiments import cli
from experiments.finish import finish
from experiments.settings import PruneSettings
from experiments.start import begin


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """The settings of a one-shot run are those that all pruning runs share."""


def main(settings: Settings) -> None:
    settings.check()
    start = begin(settings, settings.prune, tunings=1 + settings.control)
    recipe = start.recipes.fine_tune
    (drop,) = drop_counts(start.sparse.spec.channels, settings.prune)
    model, step = prune_step(start.bench, start.sparse, drop, settings.floor, recipe, settings.recalibrate)
    if settings.control:
        start = start.train("control", start.sparse, recipe)
    finish(start, "oneshot", model, (step,))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
