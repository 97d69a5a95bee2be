"""Compare four criteria at the same number of pruned channels: is |γ| the right one?

    python -m experiments.criteria --dataset cars --prune 0.6

cuts the sparse network by |γ|, by the norm of filters, by Taylor expansion of the loss, and at random, and fine-tunes
each equally long. Each criterion ends in runs/criteria with a table, a record, a checkpoint and the γ figure."""

from dataclasses import dataclass, replace

from bcnn_prune.protocol import prune_and_fine_tune
from bcnn_prune.pruning.budget_split import drop_counts
from bcnn_prune.pruning.importance import CRITERIA
from experiments.run import cli
from experiments.run.record import finish, reserve
from experiments.run.run import Run, prepare_run, train_base_networks
from experiments.run.settings import PruneSettings


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """The settings of all pruning runs, and the criterion."""

    criterion: str = "all"
    """bn-scale, filter-norm, taylor, random; or all of them, one after the other."""

    def check(self) -> None:
        super().check()
        if self.criterion not in ("all", *CRITERIA):
            raise ValueError(f"no criterion {self.criterion}: take all, {', '.join(CRITERIA)}")


def main(settings: Settings) -> None:
    settings.check()
    chosen = tuple(CRITERIA) if settings.criterion == "all" else (settings.criterion,)
    run = prepare_run(settings)
    for criterion in chosen:
        reserve(_by(run, settings, criterion), "criteria")
    run = train_base_networks(run, tunings=len(chosen) + settings.control)
    recipe = run.recipes.fine_tune
    (drop,) = drop_counts(run.sparse.spec.channels, settings.prune)
    if settings.control:
        run = run.train("control", run.sparse, recipe)
    for criterion in chosen:
        model, step = prune_and_fine_tune(run.context, run.sparse, settings.cut(drop, criterion), recipe)
        finish(_by(run, settings, criterion), "criteria", model, (step,))


def _by(run: Run, settings: Settings, criterion: str) -> Run:
    """`run` as that of one criterion."""
    return replace(run, settings=replace(settings, criterion=criterion))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
