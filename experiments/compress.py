"""Make a network small in every way, side by side: which one keeps most accuracy at the same cost?

    python -m experiments.compress --dataset cars --method low_rank --max-macs 25M
    python -m experiments.compress --dataset cars
    python -m experiments.compress --choose --max-ms 2 --max-bytes 500k

The first makes one network of at most so many multiply-adds or parameters; the second makes one by each method at
three budgets. All see as many epochs in all, and phases that they share are trained once. Each ends in runs/compress
with a table, a record, a checkpoint, and files of 8 and 4 bits per weight. --choose trains nothing: of each data set it
lists the networks of the records that meet limits, the best on val first."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from bcnn_prune.backbones import BACKBONES
from bcnn_prune.command_line.check import more_than, one_of
from bcnn_prune.command_line.parse import option
from bcnn_prune.records import DatasetInfo, WeightPruningSchedule
from bcnn_prune.spec import ModelSpec
from experiments.recipes import Recipes
from experiments.run import cli
from experiments.run.budget import amount
from experiments.run.choose import best, candidates, table
from experiments.run.console import terminal
from experiments.run.convert import FORM_OF, SPARSE, Conversion, narrowed, require_possible, share_kept, weights_kept
from experiments.run.cut_settings import PruneSettings
from experiments.run.execute import execute
from experiments.run.flow import (
    Flow,
    Phase,
    cut_of,
    initial,
    narrow_from_the_start,
    phases_to,
    sparse_network,
    teacher_of,
)
from experiments.run.settings import BackboneName, recipes_for

SHARES = (0.5, 0.3, 0.15)
"""Budgets where none is given, as shares of the unpruned network's multiply-adds."""
PACKED_BITS = (8, 4)
RESULTS = Path("results")
ALL, PRUNE, WIDTH, DISTIL = "all", "prune", "width", "distil"
METHODS = (WIDTH, DISTIL, PRUNE, *FORM_OF, SPARSE)
OF_METHODS = {
    **dict.fromkeys(("rule", "min_channels", "min_share", "repair", "allocation"), (PRUNE,)),
    "recalibrate": (PRUNE, *FORM_OF),
    "multiple": (WIDTH, DISTIL, PRUNE),
    "student": (DISTIL,),
}
"""Settings that mean nothing for other methods."""
OF_CHOOSING = ("dataset", "method", "choose", "max_params", "max_macs", "max_ms", "max_bytes", "out", "results")
"""Settings that mean something with --choose."""


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """The settings of all pruning runs, and the method."""

    NEWER: ClassVar[tuple[str, ...]] = (*PruneSettings.NEWER, "student", "choose", "max_bytes")

    dataset: str = ""
    """aircraft, birds or cars; drawn-cars for the synthetic set; a prepared subset such as cars50; or your own set.
    With --choose, all sets if not given."""
    prune: tyro.conf.Suppress[tyro.conf.Fixed[float | None]] = None
    rule: str = "mean"
    """Of the method prune: ranking of channels of different layers, as in oneshot."""
    method: Annotated[str, tyro.conf.arg(metavar="|".join((ALL, *METHODS)))] = ALL
    """width (a uniformly narrower network from the start), distil (the same, or another --student, taught by the dense
    one), prune (channels), low_rank (truncated SVD), separable (depthwise and 1 × 1), grouped, reduced (1 × 1 in
    front), sparse (single weights), or all of them."""
    dense_as_long: Literal["auto", "yes", "no"] = "auto"
    """The control: the dense network in one phase of as many epochs as the others have in all. auto and yes train it;
    with no, distillation learns from the dense network."""
    student: BackboneName | None = None
    """Backbone of the method distil; the same as the teacher's if not given."""
    choose: bool = False
    """List networks of finished runs that meet limits, in place of training."""
    max_bytes: str | None = None
    """With --choose: the most bytes of a file, such as 500k."""

    def check(self) -> None:
        more_than(0, max_ms=self.max_ms)
        self.limits()
        if not self.control:
            raise ValueError("--no-control means nothing here: --dense-as-long no leaves the control out")
        one_of((ALL, *METHODS), method=self.method)
        if self.choose:
            if self.keep_macs is not None:
                raise ValueError("--keep-macs is a share of one run's network: with --choose give --max-macs")
            for field in fields(self):
                if field.name not in OF_CHOOSING and getattr(self, field.name) != field.default:
                    raise ValueError(f"{option(field.name)} means nothing with --choose: leave it out")
            return
        if not self.dataset:
            raise ValueError("--dataset is not given: name the images, or --choose among finished runs")
        if self.max_ms is not None or self.max_bytes is not None:
            raise ValueError("--max-ms and --max-bytes choose among finished runs: add --choose")
        if self.student is not None:
            one_of(BACKBONES, student=self.student)
        for name, methods in OF_METHODS.items():
            changed = getattr(self, name) != getattr(Settings, name)
            if changed and self.method not in methods and (self.method != ALL or name == "student"):
                raise ValueError(f"{option(name)} is of --method {' or '.join(methods)}: add it, or leave this out")
        for told in self.each_budget():
            super(Settings, replace(told, distil=told.distil or told.method == DISTIL)).check()
        if self.max_params is not None and (self.max_macs, self.keep_macs) != (None, None):
            raise ValueError("--max-params with another limit: methods are compared within one of them")

    def has_dense_as_long(self, info: DatasetInfo) -> bool:
        return self.dense_as_long != "no"

    def check_network(self, spec: ModelSpec, side: int) -> None:
        if self.method != ALL:
            for told in self.each_budget():
                told.require_possible(spec, side)

    def require_possible(self, spec: ModelSpec, side: int) -> None:
        """Raise ValueError where the method cannot meet the budget; `spec` is the unpruned network."""
        match self.method:
            case "prune":
                super().check_network(spec, side)
            case "width" | "distil":
                narrowed(self.student_of(spec, side), self.budget(spec, side), self.multiple)
            case method:
                require_possible(spec, method, self.budget(spec, side))

    def each_budget(self) -> "tuple[Settings, ...]":
        """The settings with the budget given, or with each of SHARES."""
        if (self.max_params, self.max_macs, self.keep_macs) != (None, None, None):
            return (self,)
        return tuple(replace(self, keep_macs=share) for share in SHARES)

    def limits(self) -> dict[str, float]:
        """What --choose keeps to, by name of the setting."""
        told = {name: getattr(self, name) for name in ("max_params", "max_macs", "max_bytes")}
        counts = {name: amount(option(name), text) for name, text in told.items() if text is not None}
        return counts if self.max_ms is None else {**counts, "max_ms": self.max_ms}

    def student_of(self, spec: ModelSpec, side: int) -> ModelSpec:
        """The network that is narrowed to the budget and trained from the start."""
        if self.student is None:
            return spec
        return ModelSpec.of(self.student, spec.classes, head=self.head, reduce_to=self.reduce_to, side=side)


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    whole, planned = settings.unpruned(info), 0
    for told in settings.each_budget():
        for method in METHODS if settings.method == ALL else (settings.method,):
            chosen = replace(told, method=method, distil=told.distil or method == DISTIL)
            try:
                chosen.require_possible(whole, info.side)
            except ValueError as error:
                if settings.method != ALL:
                    raise
                terminal().print(f"Without {method}: {error}.")
                continue
            planned += 1
            yield flow_of(chosen, info)
    if not planned:
        raise ValueError("no method can make the network so small: take a larger budget, or a smaller --width")


def flow_of(settings: Settings, info: DatasetInfo) -> Flow:
    """One network by one method, and with dense_as_long the dense network trained for as many epochs."""
    whole = settings.unpruned(info)
    budget = settings.budget(whole, info.side)
    share = share_kept(whole, budget)
    recipes = recipes_for(settings, info, 1 - share)
    sparse = sparse_network(settings, info)
    *before, _ = phases_to(sparse)
    dense = before[-1]
    as_long: tuple[Phase, ...] = ()
    if settings.has_dense_as_long(info):
        as_long = (Phase("dense-as-long", recipes.as_long(recipes.fine_tune.epochs), dense.start),)
    networks = (*before, *as_long)
    teacher = teacher_of(networks, settings)
    conversion = Conversion(settings.method, budget, settings.recalibrate)
    epochs = recipes.sparse.epochs + recipes.fine_tune.epochs
    tuning = replace(recipes.fine_tune.without_l1, epochs=epochs)
    last: Phase
    match settings.method:
        case "prune":
            networks = (*before, sparse, *as_long)
            last = sparse.pruned(cut_of(settings, info)).then("fine-tune", recipes.fine_tune, teacher)
        case "width" | "distil":
            last = from_the_start(settings, info, recipes, teacher)
        case "sparse":
            gradual = Phase("gradual", tuning, dense, WeightPruningSchedule(1 - weights_kept(whole, budget)), teacher)
            return Flow(
                "compress", settings, (*networks, gradual), (gradual.pruned(conversion),), packed_bits=PACKED_BITS
            )
        case _:
            last = dense.pruned(conversion).then("fine-tune", tuning, teacher)
    return Flow("compress", settings, networks, steps=(last,), packed_bits=PACKED_BITS)


def from_the_start(settings: Settings, info: DatasetInfo, recipes: Recipes, teacher: Phase | None) -> Phase:
    """The last phase of a uniformly narrower network."""
    whole = settings.unpruned(info)
    spec = narrowed(settings.student_of(whole, info.side), settings.budget(whole, info.side), settings.multiple)
    weights = recipes.weights if settings.student is None else "none"
    start = replace(initial(settings, info), spec=spec, weights=weights)
    recipe = replace(recipes.as_long(recipes.fine_tune.epochs), distillation=recipes.fine_tune.distillation)
    return narrow_from_the_start(settings.method, start, recipes.classifier, recipe, teacher)


def main(settings: Settings) -> None:
    settings.check()
    if settings.choose:
        folders = [folder for folder in (settings.out, settings.results or RESULTS) if folder.is_dir()]
        method = "" if settings.method == ALL else settings.method
        terminal().print(table(best(candidates(folders, settings.dataset, method), settings.limits())))
    else:
        execute(settings, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
