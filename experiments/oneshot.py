"""One-shot pruning (thesis table 4.4; with --last-sparsity, table 4.7).

    python -m experiments.oneshot --dataset cars --prune 0.4
    python -m experiments.oneshot --dataset cars --max-params 300k

trains a dense and a sparse network, cuts the given share of all channels at once, or as few as a budget needs, and
fine-tunes. On the drawn set.it takes under four minutes on two cores and ends with a table, a record, a checkpoint and
the γ figure in runs/oneshot."""

from dataclasses import dataclass, replace

from bcnn_prune.command_line.check import more_than, shares
from bcnn_prune.command_line.parse import Share
from bcnn_prune.protocol import prune_and_fine_tune
from bcnn_prune.pruning.budget_split import drop_counts
from bcnn_prune.pruning.sparsity import scales
from experiments.run import cli
from experiments.run.budget import Budget, amount
from experiments.run.record import finish, reserve
from experiments.run.run import prepare_run, train_base_networks
from experiments.run.settings import Cutting, TuneSettings, recipes_for


@dataclass(frozen=True, kw_only=True)
class Settings(TuneSettings):
    """Those of all runs that go on training after a cut, and how much is cut: a share, or what a budget needs."""

    prune: Share | None = None
    """Share of all channels to cut, 0 or more and less than 1."""
    max_params: str | None = None
    """In place of --prune: the most parameters that may be left, such as 300k or 5M."""
    max_macs: str | None = None
    """In place of --prune: the most multiply-adds of one image, such as 40M or 1G."""
    max_ms: float | None = None
    """In place of --prune: the most milliseconds of one image on this CPU, eager, measured while the cut is sought."""

    def check(self) -> None:
        super().check()
        limits = (self.max_params, self.max_macs, self.max_ms)
        if (self.prune is None) == (limits == (None, None, None)):
            raise ValueError("say how much to cut: either --prune 0.4, or a budget such as --max-params 300k")
        shares(prune=self.prune)
        more_than(0, max_ms=self.max_ms)
        self.budget(side=1)

    def cutting(self) -> Cutting:
        return replace(super().cutting(), share=self.prune or 0.0)

    def budget(self, side: int) -> Budget:
        """The limits, for images of this side."""
        params = None if self.max_params is None else amount("--max-params", self.max_params)
        macs = None if self.max_macs is None else amount("--max-macs", self.max_macs)
        return Budget(side, params, macs, self.max_ms)


def main(settings: Settings) -> None:
    settings.check()
    run = prepare_run(settings)
    budget, spec, min_channels = settings.budget(run.info.side), run.spec(), settings.min_channels
    if settings.prune is None:
        run.context.execution.ranks.on_rank_zero(lambda: budget.require_possible(spec, min_channels, settings.multiple))
    reserve(run, "oneshot")
    run = train_base_networks(run, tunings=1 + settings.control)
    if settings.prune is None:
        sparse = scales(run.sparse)
        drop = run.context.execution.ranks.on_rank_zero(
            lambda: budget.drop(spec, sparse, min_channels, settings.multiple)
        )
        run.console.print(f"{budget.asked()}: {drop:,} of {spec.channels:,} channels have to go.")
        recipes = recipes_for(settings, run.info, drop / spec.channels)
        run = replace(run, recipes=recipes)
    else:
        (drop,) = drop_counts(spec.channels, settings.prune)
    recipe = run.recipes.fine_tune
    model, step = prune_and_fine_tune(run.context, run.sparse, settings.cut(drop), recipe)
    if settings.control:
        run = run.train("control", run.sparse, recipe)
    finish(run, "oneshot", model, (step,))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
