"""Compare criteria at the same number of pruned channels, or at the same budget: is |γ| the right one?

    python -m experiments.criteria --dataset cars --prune 0.6

cuts the sparse network by |γ|, by the norm of filters, by Taylor expansion of the loss, by the change of the prediction
(Fisher information, without and with the head computed anew), and at random, and fine-tunes each equally long. Each
criterion ends in runs/criteria with a table, a record, a checkpoint and the γ figure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import tyro

from bcnn_prune.pruning.importance import CRITERIA
from bcnn_prune.records import DatasetInfo
from experiments.run import cli
from experiments.run.cut_settings import PruneSettings
from experiments.run.cutting import Cutting
from experiments.run.execute import execute
from experiments.run.flow import Flow, cut_of, recipes_after, sparse_network, teacher_of, with_controls


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """The settings of all pruning runs, and the criterion."""

    criterion: Annotated[str, tyro.conf.arg(metavar="|".join(("all", *CRITERIA)))] = "all"
    """One of them, or all, one after the other."""

    def check(self) -> None:
        super().check()
        if self.criterion not in ("all", *CRITERIA):
            raise ValueError(f"no criterion {self.criterion}: take all, {', '.join(CRITERIA)}")

    def cutting(self) -> Cutting:
        return super().cutting() if self.criterion == "all" else replace(super().cutting(), criterion=self.criterion)


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    sparse = sparse_network(settings, info)
    chosen = tuple(CRITERIA) if settings.criterion == "all" else (settings.criterion,)
    cuts = {criterion: sparse.pruned(cut_of(settings, info, criterion)) for criterion in CRITERIA}
    # A budget takes other numbers of channels by other criteria. All train on as long as the one that lost most, also
    # one that is run alone: its record is that of a run of all.
    recipe = recipes_after(tuple(cuts.values()), settings, info, lambda recipes: recipes.fine_tune)
    networks = with_controls(sparse, settings, info, recipe)
    for criterion in chosen:
        tuned = cuts[criterion].then("fine-tune", recipe, teacher_of(networks, settings))
        yield Flow("criteria", replace(settings, criterion=criterion), networks, steps=(tuned,))


def main(settings: Settings) -> None:
    execute(settings, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
