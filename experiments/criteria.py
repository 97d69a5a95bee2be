"""Is |γ| the right thing to rank by? The same number of channels cut by four criteria.

    python -m experiments.criteria --dataset cars --prune 0.6

cuts the sparse network by |γ|, by the norm of filters, by Taylor expansion of the loss, and at random, and fine-tunes
each equally long. Each criterion ends in runs/criteria with
a table, a record, a checkpoint and the γ figure."""

from dataclasses import dataclass, replace

from bcnn_prune.protocol import prune_step
from bcnn_prune.pruning.importance import CRITERIA
from bcnn_prune.pruning.schedule import drop_counts
from experiments import cli
from experiments.finish import finish, reserve
from experiments.settings import PruneSettings
from experiments.start import Start, begin, set_up


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """Those of all pruning runs, and the criterion."""

    criterion: str = "all"
    """bn-scale, filter-norm, taylor, random; or all of them, one after the other."""

    def check(self) -> None:
        super().check()
        if self.criterion not in ("all", *CRITERIA):
            raise ValueError(f"no criterion {self.criterion}: take all, {', '.join(CRITERIA)}")


def main(settings: Settings) -> None:
    settings.check()
    chosen = tuple(CRITERIA) if settings.criterion == "all" else (settings.criterion,)
    start = set_up(settings)
    for criterion in chosen:
        reserve(_by(start, settings, criterion), "criteria")
    start = begin(start, tunings=len(chosen) + settings.control)
    recipe = start.recipes.fine_tune
    (drop,) = drop_counts(start.sparse.spec.channels, settings.prune)
    if settings.control:
        start = start.train("control", start.sparse, recipe)
    for criterion in chosen:
        model, step = prune_step(
            start.bench, start.sparse, drop, settings.floor, recipe, settings.recalibrate, settings.multiple, criterion
        )
        finish(_by(start, settings, criterion), "criteria", model, (step,))


def _by(start: Start, settings: Settings, criterion: str) -> Start:
    """`start` as the run of one criterion."""
    return replace(start, settings=replace(settings, criterion=criterion))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
