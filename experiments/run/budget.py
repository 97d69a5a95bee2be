"""Budgets of parameters, multiply-adds or milliseconds, and the smallest cut that meets them."""

import math
import re
from dataclasses import dataclass, replace
from functools import cache

import torch

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.evaluation.latency import timed_in_turn
from bcnn_prune.model.init import fresh
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.importance import Scores
from bcnn_prune.pruning.select import smallest_cut
from bcnn_prune.spec import ModelSpec

UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
ROUNDS = 10  # forward passes whose median counts


@dataclass(frozen=True)
class Budget:
    """The most that a network may cost at one image of side × side pixels; None where there is no limit."""

    side: int
    params: float | None = None
    macs: float | None = None
    ms: float | None = None
    """Milliseconds on this CPU: eager, batch 1, the threads that torch has."""

    def is_met_by(self, spec: ModelSpec) -> bool:
        """True if the network costs no more. Time is measured on a network of this shape, once per shape."""
        cost = total_cost(spec, self.side)
        if self.params is not None and cost.params > self.params:
            return False
        if self.macs is not None and cost.macs > self.macs:
            return False
        return self.ms is None or milliseconds(spec, self.side) <= self.ms

    def require_possible(self, spec: ModelSpec, min_channels: int, multiple: int) -> None:
        """Raise ValueError, with what is possible, unless the smallest network that `min_channels` and `multiple`
        allow meets the budget."""
        fewest = math.ceil(min_channels / multiple) * multiple
        least = replace(spec, widths=tuple(min(fewest, width) for width in spec.widths))
        if not self.is_met_by(least):
            cost = total_cost(least, self.side)
            time = "" if self.ms is None else f" and {milliseconds(least, self.side):.2f} ms on this CPU"
            raise ValueError(
                f"{self.asked()} cannot be met: with {fewest} channels in every layer, the least that "
                f"--min-channels and --multiple allow, there are still {cost.params:,} parameters, "
                f"{cost.macs:,} multiply-adds{time}"
            )

    def drop(self, spec: ModelSpec, scores: Scores, min_channels: int, multiple: int) -> int:
        """Number of channels that have to go, in the order of their scores."""

        def fits(plan: ChannelPlan) -> bool:
            return self.is_met_by(plan.narrow(spec))

        return smallest_cut(scores, min_channels, multiple, fits)

    def asked(self) -> str:
        """The budget as the command line gives it."""
        limits = {"--max-params": self.params, "--max-macs": self.macs, "--max-ms": self.ms}
        return " ".join(f"{name} {limit:.12g}" for name, limit in limits.items() if limit is not None)


def amount(option: str, text: str) -> float:
    """5M, 1.5G or 800000 as a number. Raises ValueError that names the option."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", text)
    if match is None or float(match[1]) == 0:
        raise ValueError(f"{option} is {text!r}: take a number such as 800000, 800k, 5M or 1.5G")
    return float(match[1]) * UNITS[match[2]]


@cache
def milliseconds(spec: ModelSpec, side: int) -> float:
    """Median time of one image through a network of this shape; what its weights are does not matter."""
    model = fresh(spec, torch.Generator().manual_seed(0))
    return timed_in_turn({"network": model}, side, rounds=ROUNDS)["network"].median_ms
