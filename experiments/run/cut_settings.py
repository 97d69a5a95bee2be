"""Settings of flows that cut: how much goes, by which rule, and what follows."""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, ClassVar, Literal, Self

import tyro

from bcnn_prune.command_line.check import at_least, more_than, one_of, shares
from bcnn_prune.command_line.parse import Share, option
from bcnn_prune.deployment.layer_profile import RUNTIMES
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.evaluation.layer_times import FINE_GRAIN
from bcnn_prune.protocol import Cut, Selection
from bcnn_prune.pruning.ranking import drop_counts
from bcnn_prune.pruning.rules import RULES
from bcnn_prune.pruning.sensitivity import SHARES
from bcnn_prune.records import DatasetInfo, Distillation
from bcnn_prune.spec import ModelSpec
from experiments.recipes import DISTILLATION
from experiments.run.budget import Budget, amount
from experiments.run.clock import Clock
from experiments.run.cutting import Cutting
from experiments.run.settings import FlowSettings

AUTO, THESIS, MEAN = "auto", "thesis", "mean"
"""The rule that the data set decides, and the thesis' own, which a record that names none was ranked by; one of
`compress` by that command's default, mean."""
USUAL = (THESIS, MEAN)
"""The rules that auto stands for."""


@dataclass(frozen=True, kw_only=True)
class CutSettings(FlowSettings):
    """The settings of flows that cut."""

    NEWER: ClassVar[tuple[str, ...]] = (*FlowSettings.NEWER, "rule", "min_share", "repair")

    min_channels: Annotated[int, tyro.conf.arg(aliases=("--floor",))] = 4
    """Channels that stay in every layer whatever their scores."""
    recalibrate: int = 200
    """Training images over which BN statistics are averaged anew after a cut; 0 leaves them."""
    multiple: int = 1
    """Widths are rounded up to a multiple of this; processors like 8 or 16."""
    rule: str = AUTO
    """Ranking of channels of different layers: thesis or raw (scores as they are), mean or rms (over the layer's
    mean or root mean square), lamp, or rank (the same share of every layer). auto takes mean on photographs, where at
    equal multiply-adds it keeps far more accuracy than thesis (results/equal_cost), and thesis on synthetic sets."""
    min_share: Annotated[Share | None, tyro.conf.arg(aliases=("--floor-share",))] = None
    """Share of every layer that stays whatever its scores, beside --min-channels; the rule's if not given: 0 for
    thesis, 0.1 for the others."""
    repair: int = 0
    """Training images, without labels, by which the remaining weights are fitted by least squares to what all channels
    gave, before BN statistics; 0 leaves them, some 256 are enough."""

    def check(self) -> None:
        super().check()
        at_least(1, min_channels=self.min_channels)
        if self.recalibrate < 0:
            raise ValueError(f"--recalibrate is {self.recalibrate}: take 0 to leave BN statistics, or some 200")
        if self.multiple < 1:
            raise ValueError(f"--multiple is {self.multiple}: take 1 to leave widths as they are, or 8 or 16")
        if self.rule not in (AUTO, *RULES):
            raise ValueError(f"--rule is {self.rule}: take {', '.join((AUTO, *RULES))}")
        shares(min_share=self.min_share)
        at_least(0, repair=self.repair)

    def on(self, info: DatasetInfo) -> Self:
        return replace(self, rule=usual_rule(info)) if self.rule == AUTO else self

    def name(self, info: DatasetInfo) -> str:
        usual = type(self).rule == AUTO and self.rule == usual_rule(info)
        return super(CutSettings, replace(self, rule=AUTO) if usual else self).name(info)

    def plain(self) -> dict[str, str | int | float | bool | None]:
        values = super().plain()
        if type(self).rule == AUTO and self.rule in (AUTO, THESIS):
            values.pop("rule", None)
        return values

    def cut(self, drop: int | Selection, criterion: str = "bn-scale") -> Cut:
        """The cut of so many channels, or of those that a function selects."""
        return Cut(
            drop,
            self.min_channels,
            self.recalibrate,
            self.width_multiple,
            criterion,
            self.rule,
            min_share=self._share_kept(),
            repair=self.repair,
        )

    @property
    def width_multiple(self) -> int:
        """The multiple that widths are rounded up to."""
        return self.multiple

    def cutting(self) -> Cutting:
        return Cutting(min_channels=self.min_channels, min_share=self._share_kept(), recalibrate=self.recalibrate)

    def _share_kept(self) -> float:
        if self.min_share is not None:
            return self.min_share
        return RULES[THESIS if self.rule == AUTO else self.rule].min_share


def usual_rule(info: DatasetInfo) -> str:
    """The rule that auto stands for: on synthetic sets the thesis', as in the recorded runs."""
    return THESIS if info.kind == "synthetic" else MEAN


def by_sensitivity(cut: Cut) -> Cut:
    """The cut with widths by what each layer costs when it is cut alone; of the rule only the protected share stays."""
    return replace(cut, rule="raw", sensitivity=SHARES)


@dataclass(frozen=True, kw_only=True)
class FineTuneSettings(CutSettings):
    """The settings of cuts, and how long and at what rate training goes on after them."""

    NEWER: ClassVar[tuple[str, ...]] = (*CutSettings.NEWER, "fine_tune_rate")

    fine_tune_epochs: int | None = None
    """Epochs after the cut (in soft pruning, with zeroing); the recipe's if not given."""
    fine_tune_rate: float | None = None
    """Learning rate of these epochs, also of the control's; the recipe's if not given."""

    def check(self) -> None:
        super().check()
        at_least(1, fine_tune_epochs=self.fine_tune_epochs)
        more_than(0, fine_tune_rate=self.fine_tune_rate)

    def cutting(self) -> Cutting:
        return replace(super().cutting(), fine_tune_epochs=self.fine_tune_epochs, fine_tune_rate=self.fine_tune_rate)


@dataclass(frozen=True, kw_only=True)
class TuneSettings(FineTuneSettings):
    """The settings of flows that go on training after a cut."""

    NEWER: ClassVar[tuple[str, ...]] = (
        *FineTuneSettings.NEWER,
        "dense_as_long",
        "distil",
        "distil_temperature",
        "distil_weight",
    )

    control: bool = True
    """Also train the unpruned network on equally long: without it nothing can be said of pruning and accuracy."""
    dense_as_long: Literal["auto", "yes", "no"] = "auto"
    """A second control: the dense network, without L1, in one phase of as many epochs as all of the pruned network's
    together. auto trains it on photographs, with the control."""
    distil: bool = False
    """Knowledge distillation after the cut: the network learns from the outputs of the dense one besides the labels
    (Hinton et al. 2015). The teacher is the dense network trained as long where the run has it. The control and the
    networks trained from scratch learn from it, too."""
    distil_temperature: float | None = None
    """With --distil: T, by which the logits of both networks are divided; 4 if not given."""
    distil_weight: float | None = None
    """With --distil: weight of the teacher's outputs against the labels, 0 to 1; 0.9 if not given."""

    def check(self) -> None:
        super().check()
        for name in ("distil_temperature", "distil_weight"):
            if getattr(self, name) is not None and not self.distil:
                raise ValueError(f"{option(name)} means nothing without --distil: give both")
        more_than(0, distil_temperature=self.distil_temperature)
        if self.distil_weight is not None and not 0 <= self.distil_weight <= 1:
            raise ValueError(f"--distil-weight is {self.distil_weight:g}: take 0 to 1, such as 0.5")

    def cutting(self) -> Cutting:
        return replace(super().cutting(), distillation=self.distillation())

    def distillation(self) -> Distillation | None:
        """T and w of the phases that have a teacher; None without --distil."""
        if not self.distil:
            return None
        temperature, weight = self.distil_temperature, self.distil_weight
        return Distillation(
            DISTILLATION.temperature if temperature is None else temperature,
            DISTILLATION.weight if weight is None else weight,
        )

    def has_dense_as_long(self, info: DatasetInfo) -> bool:
        usual = self.control and info.kind != "synthetic"
        return usual if self.dense_as_long == "auto" else self.dense_as_long == "yes"


@dataclass(frozen=True, kw_only=True)
class PruneSettings(TuneSettings):
    """The settings of flows that are told how much to cut: a share of all channels, or what a budget needs."""

    NEWER: ClassVar[tuple[str, ...]] = (
        *TuneSettings.NEWER,
        "max_params",
        "max_macs",
        "max_ms",
        "keep_macs",
        "allocation",
        "runtime",
    )

    prune: Share | None = None
    """Share of all channels to cut, 0 or more and less than 1."""
    max_params: str | None = None
    """In place of --prune: the most parameters that may be left, such as 300k or 5M."""
    max_macs: str | None = None
    """In place of --prune: the most multiply-adds of one image, such as 40M or 1G."""
    max_ms: float | None = None
    """In place of --prune: milliseconds of one image on this CPU that the exported file takes, to within 3 %. Widths
    become multiples of 8, or of --multiple. Its layers are timed first, once for a processor and a network, which takes
    minutes."""
    runtime: str = "onnx-int8"
    """The file that --max-ms is about, which the run writes, too: onnx-int8 or onnx."""
    keep_macs: Share | None = None
    """In place of --prune: the most multiply-adds of one image as a share of the unpruned network's, such as 0.15."""
    allocation: Literal["ranking", "exact", "sensitivity"] = "ranking"
    """Allocation to layers. ranking: as --rule ranks all channels. exact: the widths with the largest sum of kept
    scores, by dynamic programming; takes one budget. sensitivity: widths at which every layer, cut alone,
    loses at most the same val accuracy (FastNAS); --rule then only protects its share of every layer."""

    def check(self) -> None:
        super().check()
        limits = (self.max_params, self.max_macs, self.max_ms, self.keep_macs)
        if (self.prune is None) == (limits == (None,) * len(limits)):
            raise ValueError("say how much to cut: either --prune 0.4, or a budget such as --max-params 300k")
        if self.max_macs is not None and self.keep_macs is not None:
            raise ValueError("--max-macs and --keep-macs both limit multiply-adds: give one of them")
        if self.allocation == "exact" and limits.count(None) != len(limits) - 1:
            raise ValueError(
                "--allocation exact takes one budget: --max-params, --max-macs, --keep-macs or --max-ms; no --prune"
            )
        one_of(RUNTIMES, runtime=self.runtime)
        if self.max_ms is None and self.runtime != type(self).runtime:
            raise ValueError("--runtime means nothing without --max-ms: give both")
        shares(prune=self.prune, keep_macs=self.keep_macs)
        more_than(0, max_ms=self.max_ms, keep_macs=self.keep_macs)
        _amount("--max-params", self.max_params)
        _amount("--max-macs", self.max_macs)

    def check_network(self, spec: ModelSpec, side: int) -> None:
        if self.prune is None:
            self.budget(spec, side).require_possible(spec, self.cutting().fewest(spec), self.width_multiple)

    def cut(self, drop: int | Selection, criterion: str = "bn-scale") -> Cut:
        cut = super().cut(drop, criterion)
        return by_sensitivity(cut) if self.allocation == "sensitivity" else cut

    @property
    def width_multiple(self) -> int:
        return self.multiple if self.max_ms is None else math.lcm(self.multiple, FINE_GRAIN)

    def cutting(self) -> Cutting:
        return replace(super().cutting(), share=self.prune or 0.0, by_budget=self.prune is None)

    def ships(self) -> tuple[str, float] | None:
        return None if self.max_ms is None else (self.runtime, self.max_ms)

    def budget(self, spec: ModelSpec, side: int) -> Budget:
        """The limits, for images of this side; `spec` is the unpruned network."""
        macs = _amount("--max-macs", self.max_macs)
        if self.keep_macs is not None:
            macs = self.keep_macs * total_cost(spec, side).macs
        clock = None if self.max_ms is None else Clock(spec, side, self.runtime, self.out / "layer_times")
        params = _amount("--max-params", self.max_params)
        return Budget(side, params, macs, self.max_ms, keep_macs=self.keep_macs, clock=clock)

    def to_drop(self, spec: ModelSpec, side: int) -> int | Selection:
        """Channels of the unpruned network, of `spec`, that go; for a budget, the function that selects them."""
        if self.prune is None:
            return self.selection(self.budget(spec, side))
        (drop,) = drop_counts(spec.channels, self.prune)
        return drop

    def selection(self, budget: Budget) -> Selection:
        """The function that selects what stays within a budget."""
        return partial(budget.allocate if self.allocation == "exact" else budget.select, multiple=self.width_multiple)


def _amount(option: str, text: str | None) -> float | None:
    return None if text is None else amount(option, text)
