"""One-shot pruning (thesis table 4.4; with --last-sparsity, table 4.7).

    python -m experiments.oneshot --dataset cars --prune 0.4
    python -m experiments.oneshot --dataset cars --max-params 300k

trains a dense and a sparse network, cuts the given share of all channels at once, or as few as a budget needs, and
fine-tunes. On the drawn set it takes under four minutes on two cores and ends with a table, a record, a checkpoint and
the γ figure in runs/oneshot."""

from dataclasses import dataclass, replace

from bcnn_prune.protocol import prune_step
from bcnn_prune.pruning.schedule import drop_counts
from bcnn_prune.pruning.sparsity import scales
from command_line.check import more_than, shares
from command_line.parse import Share
from experiments import cli
from experiments.budget import Budget, amount
from experiments.finish import finish, reserve
from experiments.settings import Cutting, TuneSettings, recipes_for
from experiments.start import begin, set_up


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
    start = set_up(settings)
    budget, spec, floor = settings.budget(start.info.side), start.spec(), settings.floor
    if settings.prune is None:
        start.bench.ranks.told(lambda: budget.require_possible(spec, floor, settings.multiple))
    reserve(start, "oneshot")
    start = begin(start, tunings=1 + settings.control)
    if settings.prune is None:
        sparse = scales(start.sparse)
        drop = start.bench.ranks.told(lambda: budget.drop(spec, sparse, floor, settings.multiple))
        start.console.print(f"{budget.asked()}: {drop:,} of {spec.channels:,} channels have to go.")
        recipes = recipes_for(settings, start.info, drop / spec.channels)
        start = replace(start, recipes=recipes)
    else:
        (drop,) = drop_counts(spec.channels, settings.prune)
    recipe = start.recipes.fine_tune
    model, step = prune_step(start.bench, start.sparse, drop, floor, recipe, settings.recalibrate, settings.multiple)
    if settings.control:
        start = start.train("control", start.sparse, recipe)
    finish(start, "oneshot", model, (step,))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
