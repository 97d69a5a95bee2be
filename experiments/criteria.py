"""Compare criteria at the same number of pruned channels, or at the same budget: is |γ| the right one?

    python -m experiments.criteria --dataset cars --prune 0.6

cuts the sparse network by |γ|, by the norm of filters, by Taylor expansion of the loss, by the change of the prediction
(Fisher information, without and with the head computed anew), and at random, and fine-tunes each equally long. Each
criterion ends in runs/criteria with a table, a record, a checkpoint and the γ figure."""

from dataclasses import dataclass, replace
from typing import Annotated

import tyro

from bcnn_prune.protocol import fine_tune, prune
from bcnn_prune.pruning.importance import CRITERIA
from experiments.run import cli
from experiments.run.cut_settings import PruneSettings
from experiments.run.record import finish, reserve
from experiments.run.run import Run, prepare_run, train_base_networks, train_controls


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """The settings of all pruning runs, and the criterion."""

    criterion: Annotated[str, tyro.conf.arg(metavar="|".join(("all", *CRITERIA)))] = "all"
    """One of them, or all, one after the other."""

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
    drop = settings.to_drop(run.spec(), run.info.side)
    cuts = {criterion: prune(run.context, run.sparse, settings.cut(drop, criterion)) for criterion in chosen}
    # All train on as long as the one that lost most: a budget takes other numbers of channels by other criteria.
    run = run.after_cut(min((step.spec for _, step in cuts.values()), key=lambda spec: spec.channels))
    recipe = run.recipes.fine_tune
    if settings.control:
        run = train_controls(run, recipe)
    for criterion, (narrow, step) in cuts.items():
        model, tuned = fine_tune(run.context, narrow, step, recipe)
        finish(_by(run, settings, criterion), "criteria", model, (tuned,))


def _by(run: Run, settings: Settings, criterion: str) -> Run:
    """`run` as that of one criterion."""
    return replace(run, settings=replace(settings, criterion=criterion))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
