"""Budgets of parameters, multiply-adds or milliseconds, and the smallest cut that meets them."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.evaluation.layer_times import grains, terms
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.allocate import allocate
from bcnn_prune.pruning.chain_cost import ChainCost, tabulated, width_choices
from bcnn_prune.pruning.importance import Scores
from bcnn_prune.pruning.ranking import keep_highest
from bcnn_prune.pruning.select import filled, round_widths_up, smallest_cut
from bcnn_prune.spec import ModelSpec
from experiments.run.clock import Clock

UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
CLOSE, TRIES = 0.03, 6
"""A network is taken whose measured time is so near to the budget, or the nearest of so many; one that takes longer
only where all do."""


@dataclass(frozen=True)
class Tried:
    """A plan within a limit of predicted time, and how long its network takes."""

    limit: float
    taken: float
    plan: ChannelPlan


@dataclass(frozen=True)
class Budget:
    """The most that a network may cost at one image of side × side pixels; None where there is no limit."""

    side: int
    params: float | None = None
    macs: float | None = None
    ms: float | None = None
    """Milliseconds on this CPU of the exported file: batch 1, the threads that torch has."""
    keep_macs: float | None = None
    """The share of the unpruned network's multiply-adds that `macs` is, where that is what was asked for."""
    keep_ms: float | None = None
    """The share of the milliseconds of the unpruned network's file that `ms` is, where that is what was asked for. Both
    files are then timed in turn."""
    clock: Clock | None = None
    """What times the exported file, where `ms` is limited."""

    @classmethod
    def keeping(cls, share: float, spec: ModelSpec, side: int) -> "Budget":
        """So large a share of the multiply-adds of the unpruned network, of `spec`."""
        return cls(side, macs=share * total_cost(spec, side).macs, keep_macs=share)

    @classmethod
    def keeping_time(cls, share: float, clock: Clock) -> "Budget":
        """So large a share of the milliseconds of the unpruned network's file, by `clock`."""
        return cls(clock.side, ms=share * clock.predicted(clock.whole), keep_ms=share, clock=clock)

    def is_met_by(self, spec: ModelSpec) -> bool:
        """True if the network costs no more, by the predicted time."""
        cost = total_cost(spec, self.side)
        if self.params is not None and cost.params > self.params:
            return False
        if self.macs is not None and cost.macs > self.macs:
            return False
        return self.ms is None or self._predicted(spec) <= self.ms

    def require_possible(self, spec: ModelSpec, fewest: Mapping[str, int], multiple: int) -> None:
        """Raise ValueError, with what is possible, unless the smallest network that `fewest` channels by layer and
        `multiple` allow meets the budget."""
        least = smallest(spec, fewest, multiple)
        if not self.is_met_by(least):
            cost = total_cost(least, self.side)
            time = "" if self.ms is None else f" and {self._predicted(least):.2f} ms on this CPU"
            raise ValueError(
                f"{self.asked()} cannot be met: with {in_words(least.widths)}, the least that --min-channels, "
                f"--min-share and --multiple allow, there are still {cost.params:,} parameters, "
                f"{cost.macs:,} multiply-adds{time}"
            )

    def select(
        self, spec: ModelSpec, scores: Scores, fewest: Mapping[str, int], multiple: int, fill: bool = False
    ) -> ChannelPlan:
        """The largest network that meets the budget, of those that drop channels of `spec` in the order of `scores`;
        with `fill`, single channels come back that the budget still has room for."""

        def within(budget: Budget) -> ChannelPlan:
            plan = keep_highest(scores, budget.drop(spec, scores, fewest, multiple), fewest)
            return filled(plan, scores, lambda wider: budget.is_met_by(narrowed(wider))) if fill else plan

        def narrowed(plan: ChannelPlan) -> ModelSpec:
            return round_widths_up(plan, scores, multiple).completed(spec).narrow(spec)

        return self._on_time(within, narrowed, smallest(spec, fewest, multiple))

    def fill(self, spec: ModelSpec, scores: Scores, fewest: Mapping[str, int], multiple: int) -> ChannelPlan:
        """The network of `select`, with single channels back that the budget still has room for."""
        return self.select(spec, scores, fewest, multiple, fill=True)

    def allocate(self, spec: ModelSpec, scores: Scores, fewest: Mapping[str, int], multiple: int) -> ChannelPlan:
        """The network with the largest sum of `scores` that meets a budget of one kind.

        Layers without scores keep all their channels."""
        whole = {layer: torch.zeros(width) for layer, width in spec.width_of.items() if layer not in scores}
        fewest = {**fewest, **{layer: len(zeros) for layer, zeros in whole.items()}}
        costs = self._costs(spec, fewest, multiple)

        def within(budget: Budget) -> ChannelPlan:
            (limit,) = (limit for limit in (budget.params, budget.macs, budget.ms) if limit is not None)
            return allocate({**scores, **whole}, costs, limit)

        least = replace(spec, widths=tuple(int(widths[0]) for widths in costs.widths.values()))
        return self._on_time(within, lambda plan: plan.narrow(spec), least)

    def _costs(self, spec: ModelSpec, fewest: Mapping[str, int], multiple: int) -> ChainCost:
        """The cost that is limited, for all widths that layers of `spec` may have."""
        if self.clock is not None:
            steps = {layer: math.lcm(multiple, grain) for layer, grain in grains(self.clock.whole).items()}
            choices = width_choices(spec.width_of, fewest, steps)
            return ChainCost(choices, terms(self.clock.times(), choices))

        def cost(widths: tuple[int, ...]) -> float:
            found = total_cost(replace(spec, widths=widths), self.side)
            return found.params if self.macs is None else found.macs

        return tabulated(cost, width_choices(spec.width_of, fewest, math.lcm(multiple, *spec.blocks.values())))

    def _on_time(
        self,
        within: Callable[["Budget"], ChannelPlan],
        narrowed: Callable[[ChannelPlan], ModelSpec],
        least: ModelSpec,
    ) -> ChannelPlan:
        """The plan within this budget; with a limit of time, the one whose exported file comes nearest to it,
        among those that do not take longer if there are any.

        A prediction that is too short, or too long, moves the limit for the next one; `least` is the smallest
        network that there is."""
        if self.clock is None or self.ms is None:
            return within(self)
        asked, floor, tried = self.ms, self._predicted(least), list[Tried]()
        while len(tried) < TRIES and all(abs(one.taken / asked - 1) > CLOSE for one in tried):
            limit = max(floor, next_limit(tried, asked))
            plan = within(replace(self, ms=limit))
            tried.append(Tried(limit, self._taken(self.clock, narrowed(plan)), plan))
        return min(tried, key=lambda one: (one.taken > (1 + CLOSE) * asked, abs(one.taken / asked - 1))).plan

    def _taken(self, clock: Clock, spec: ModelSpec) -> float:
        """Measured milliseconds; for a share of the unpruned network's, in units of the table's for that network."""
        return clock.measured(spec) if self.keep_ms is None else clock.share(spec) * clock.predicted(clock.whole)

    def _predicted(self, spec: ModelSpec) -> float:
        assert self.clock is not None
        return self.clock.predicted(spec)

    def drop(self, spec: ModelSpec, scores: Scores, fewest: int | Mapping[str, int], multiple: int) -> int:
        """Number of channels that have to go, in the order of their scores."""

        def fits(plan: ChannelPlan) -> bool:
            return self.is_met_by(plan.completed(spec).narrow(spec))

        return smallest_cut(scores, fewest, multiple, fits)

    def part(self, spec: ModelSpec, share: float) -> "Budget":
        """The budget of `spec` after this share of the way down to this one."""

        def on_the_way(limit: float | None, whole: float) -> float | None:
            return None if limit is None else max(limit, whole - share * (whole - limit))

        cost = total_cost(spec, self.side)
        whole_ms = 0.0 if self.ms is None else self._predicted(spec)
        return replace(
            self,
            params=on_the_way(self.params, cost.params),
            macs=on_the_way(self.macs, cost.macs),
            ms=on_the_way(self.ms, whole_ms),
        )

    def asked(self) -> str:
        """The budget as the command line gives it."""
        limits = {"--max-params": self.params, "--max-macs": self.macs, "--max-ms": self.ms}
        if self.keep_macs is not None:
            limits = {**limits, "--max-macs": None, "--keep-macs": self.keep_macs}
        if self.keep_ms is not None:
            limits = {**limits, "--max-ms": None, "--keep-ms": self.keep_ms}
        return " ".join(f"{name} {limit:.12g}" for name, limit in limits.items() if limit is not None)


def next_limit(tried: Sequence[Tried], asked: float) -> float:
    """The limit of predicted time whose network should take the time asked for: on the line through the two networks
    next to it, one faster and one slower, or in proportion to the last one's where all are on one side."""
    if not tried:
        return asked
    faster = max((one for one in tried if one.taken <= asked), key=lambda one: one.limit, default=None)
    slower = min((one for one in tried if one.taken > asked), key=lambda one: one.limit, default=None)
    if faster and slower and faster.limit < slower.limit:
        share = (asked - faster.taken) / (slower.taken - faster.taken)
        return faster.limit + share * (slower.limit - faster.limit)
    return tried[-1].limit * asked / tried[-1].taken


def smallest(spec: ModelSpec, fewest: Mapping[str, int], multiple: int) -> ModelSpec:
    """`spec` with the fewest channels in every layer, rounded up to `multiple`."""
    steps = {layer: math.lcm(multiple, spec.blocks.get(layer, 1)) for layer in spec.layers}
    widths = (min(math.ceil(fewest[at] / steps[at]) * steps[at], width) for at, width in spec.width_of.items())
    return replace(spec, widths=tuple(widths))


def in_words(widths: tuple[int, ...]) -> str:
    """Widths of all layers: one number where they are equal."""
    if len(set(widths)) == 1:
        return f"{widths[0]} channels in every layer"
    return f"{min(widths)} to {max(widths)} channels in the layers"


def amount(option: str, text: str) -> float:
    """5M, 1.5G or 800000 as a number. Raises ValueError that names the option."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", text)
    if match is None or float(match[1]) == 0:
        raise ValueError(f"{option} is {text!r}: take a number such as 800000, 800k, 5M or 1.5G")
    return float(match[1]) * UNITS[match[2]]
