"""Compare ways to select channels at equal cost: which one leaves the most accurate network?

    python -m experiments.equal_cost --dataset cars
    python -m experiments.equal_cost --dataset birds50 --keep-macs 0.3 --rules thesis mean rank random-in-widths
    python -m experiments.equal_cost --dataset birds50 --keep-macs --keep-ms 0.75

cuts one sparse network to a share of its multiply-adds, or of its milliseconds, in each of these ways, recomputes BN
statistics and fine-tunes all with the same images and as long. Beside them stand the controls: the networks that are
not cut, random channels in the widths of `mean`, and a uniformly narrower network trained from the start. Every network
that a run trains stays in the cache, so a second command with more --rules or another --keep-macs trains only what is
new; by the thesis' recipe, whose fine-tuning is the longer the more is cut, the deepest cut decides for all. A table
and a record end in runs/equal_cost."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
import tyro

from bcnn_prune.command_line.check import more_than, one_of, shares, some
from bcnn_prune.command_line.parse import Share
from bcnn_prune.evaluation.layer_times import FINE_GRAIN
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.protocol import Cut, Selection
from bcnn_prune.pruning.importance import Scores, with_blocks
from bcnn_prune.pruning.rules import RULES
from bcnn_prune.pruning.select import keep_widths, round_widths_up
from bcnn_prune.records import DatasetInfo, Recipe
from bcnn_prune.spec import ModelSpec
from experiments.run import cli
from experiments.run.budget import Budget
from experiments.run.clock import Clock
from experiments.run.cut_settings import TuneSettings, by_sensitivity
from experiments.run.cutting import Cutting
from experiments.run.execute import execute
from experiments.run.flow import (
    Compared,
    Deferred,
    Flow,
    Phase,
    Pruned,
    applied,
    initial,
    narrow_from_the_start,
    recipes_after,
    sparse_network,
    teacher_of,
    with_controls,
)
from experiments.run.settings import recipes_for


@dataclass(frozen=True)
class Way:
    """Scores by a criterion, ranked by a rule with the rule's share of every layer protected, and what follows."""

    criterion: str
    rule: str
    allocation: Literal["ranking", "exact", "random", "sensitivity"] = "ranking"
    """exact: the widths with the largest sum of scores. random: the ranking's widths, filled with random channels.
    sensitivity: no layer, cut alone, would cost more val accuracy than another; the rule only protects its share."""


WAYS: dict[str, Way] = {
    **{rule: Way("bn-scale", rule) for rule in RULES},
    "filter-norm": Way("filter-norm", "rms"),
    "taylor": Way("taylor", "mean"),
    "fisher": Way("fisher", "raw"),
    "fisher-head": Way("fisher-head", "raw"),
    "mean-exact": Way("bn-scale", "mean", "exact"),
    "lamp-exact": Way("bn-scale", "lamp", "exact"),
    "fisher-exact": Way("fisher", "raw", "exact"),
    "sensitivity": Way("bn-scale", "mean", "sensitivity"),
    "random-in-widths": Way("bn-scale", "mean", "random"),
    "random": Way("random", "rank"),
}
"""Ways to select channels of the sparse network. Scores by Fisher information are nats in every layer, so they are
ranked as they are; `random` keeps random channels in uniform widths."""
FROM_THE_START = "uniform"
"""A network as narrow as `rank` makes it, from the initial weights, trained for as many epochs in one phase."""
NAMES = (*WAYS, FROM_THE_START)


@dataclass(frozen=True, kw_only=True)
class Settings(TuneSettings):
    """The settings of all runs that fine-tune, the budgets and the ways to select."""

    NEWER: ClassVar[tuple[str, ...]] = (*TuneSettings.NEWER, "keep_ms")

    # Each way has its own.
    rule: tyro.conf.Suppress[tyro.conf.Fixed[str]] = "thesis"
    min_share: tyro.conf.Suppress[tyro.conf.Fixed[float | None]] = None
    dense_as_long: Literal["auto", "yes", "no"] = "auto"
    """The control that all networks are set against: the dense network, without L1, in one phase of as many epochs as
    all of a pruned network's together. auto trains it with the other control."""
    keep_macs: tuple[Share, ...] = (0.5, 0.3, 0.15, 0.08)
    """Budgets: the most multiply-adds of one image, as shares of the unpruned network's. With --keep-ms, none if given
    without values."""
    keep_ms: tuple[Share, ...] = ()
    """Budgets in time: the most milliseconds of one image on this CPU in the exported int8 file, as shares of the
    unpruned network's, to within 3 %. Widths become multiples of 8, or of --multiple. Layers are timed first, once for
    a processor and a network, which takes minutes."""
    rules: Annotated[tuple[str, ...], tyro.conf.arg(metavar=f"[{{{','.join(NAMES)}}} ...]")] = NAMES
    """The ways to select, most important first. thesis to rank are |γ| by these rules; filter-norm and taylor are over
    their layer's size; exact allocates by dynamic programming, sensitivity by what each layer costs alone;
    random-in-widths has the widths of mean; random and uniform have those of rank."""

    def check(self) -> None:
        super().check()
        shares(keep_macs=self.keep_macs, keep_ms=self.keep_ms)
        more_than(0, keep_macs=self.keep_macs, keep_ms=self.keep_ms)
        if not self.keep_ms:
            some("0.5 0.3", keep_macs=self.keep_macs)
        some("thesis mean", rules=self.rules)
        one_of(NAMES, rules=self.rules)

    def check_network(self, spec: ModelSpec, side: int) -> None:
        for budget in self.budgets(spec, side):
            for way in {name: WAYS.get(name, WAYS["rank"]) for name in self.rules}.values():
                cutting = replace(self.cutting(), criterion=way.criterion, min_share=RULES[way.rule].min_share)
                budget.require_possible(spec, cutting.fewest(spec), self._multiple(budget))

    def has_dense_as_long(self, info: DatasetInfo) -> bool:
        return self.control if self.dense_as_long == "auto" else self.dense_as_long == "yes"

    def cutting(self) -> Cutting:
        return replace(super().cutting(), by_budget=True)

    def budgets(self, spec: ModelSpec, side: int) -> list[Budget]:
        """The limits, each once; `spec` is the unpruned network, images are of this side."""
        clock = Clock(spec, side, "onnx-int8", self.out / "layer_times")
        by_time = [Budget.keeping_time(share, clock) for share in dict.fromkeys(self.keep_ms)]
        return [*(Budget.keeping(share, spec, side) for share in dict.fromkeys(self.keep_macs)), *by_time]

    def cut_by(self, way: Way, budget: Budget) -> Cut:
        """The cut that meets the budget in this way."""
        exact, multiple = way.allocation == "exact", self._multiple(budget)
        select: Selection = partial(budget.allocate if exact else budget.fill, multiple=multiple)
        if way.allocation == "random":
            select = partial(random_channels, select=select, seed=self.seed, multiple=multiple)
        cut = replace(self, rule=way.rule, multiple=multiple).cut(select, way.criterion)
        return by_sensitivity(cut) if way.allocation == "sensitivity" else cut

    def _multiple(self, budget: Budget) -> int:
        """What widths are rounded up to: for a budget in time also to what the runtime computes well."""
        return self.multiple if budget.ms is None else math.lcm(self.multiple, FINE_GRAIN)


def random_channels(
    spec: ModelSpec, scores: Scores, fewest: Mapping[str, int], select: Selection, seed: int, multiple: int
) -> ChannelPlan:
    """Random channels, by the seed, in the widths of the plan that `select` makes."""
    plan = round_widths_up(select(spec, scores, fewest), scores, multiple)
    generator = torch.Generator().manual_seed(seed)
    drawn = {layer: torch.rand(spec.width_of[layer], generator=generator) for layer in plan.kept}
    return keep_widths(with_blocks(drawn, spec.blocks), {layer: len(channels) for layer, channels in plan.kept.items()})


def from_the_start(
    shape: Pruned, settings: Settings, info: DatasetInfo, tuning: Recipe | Deferred[Recipe], teacher: Phase | None
) -> Phase:
    """The last phase of a network as narrow as `shape`, from the initial weights, for as many epochs as `shape` has
    seen after `tuning`."""
    recipes = recipes_for(settings, info)
    spec = Deferred((shape,), lambda step: step.spec, settings.unpruned(info))
    start = replace(initial(settings, info), spec=spec)
    recipe = applied(lambda after: replace(recipes.as_long(after.epochs), distillation=after.distillation), tuning)
    return narrow_from_the_start(FROM_THE_START, start, recipes.classifier, recipe, teacher)


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    sparse, whole = sparse_network(settings, info), settings.unpruned(info)
    budgets = settings.budgets(whole, info.side)
    cuts: dict[tuple[Budget, str], Pruned] = {}
    for budget in budgets:
        for name in dict.fromkeys("rank" if name == FROM_THE_START else name for name in settings.rules):
            cuts[budget, name] = sparse.pruned(settings.cut_by(WAYS[name], budget))
    tuning = recipes_after(tuple(cuts.values()), settings, info, lambda recipes: recipes.fine_tune)
    networks = with_controls(sparse, settings, info, tuning)
    teacher = teacher_of(networks, settings)

    def last_phase(budget: Budget, name: str) -> Phase:
        if name != FROM_THE_START:
            return cuts[budget, name].then("fine-tune", tuning, teacher)
        return from_the_start(cuts[budget, "rank"], settings, info, tuning, teacher)

    compared = [
        Compared(name, budget, last_phase(budget, name)) for budget in budgets for name in dict.fromkeys(settings.rules)
    ]
    yield Flow("equal_cost", settings, networks, compared=tuple(compared))


def main(settings: Settings) -> None:
    execute(settings, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
