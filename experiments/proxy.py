"""Does accuracy before fine-tuning tell which plan is best after it? Many plans of equal cost.

    python -m experiments.proxy --dataset cars

cuts the sparse network to one budget by 32 plans whose widths are sampled at random, the channels with the largest |γ|
in each layer, recomputes BN statistics, and fine-tunes all alike. Searches for an allocation rely on the accuracy
before fine-tuning (FastNAS; EagleEye, Li et al. 2020); "Is Oracle Pruning the True Oracle?" (arXiv 2412.00143) found
that it predicts little. `python -m thesis_figures` tabulates Kendall's τ of both accuracies. Every plan costs one
fine-tuning; a finished one is not trained again. A table and a record end in runs/proxy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

import torch
import tyro

from bcnn_prune.command_line.check import at_least, more_than, shares
from bcnn_prune.command_line.parse import Share
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.importance import Scores
from bcnn_prune.records import DatasetInfo
from bcnn_prune.spec import ModelSpec
from experiments.run import cli
from experiments.run.budget import Budget
from experiments.run.cut_settings import TuneSettings
from experiments.run.cutting import Cutting
from experiments.run.execute import execute
from experiments.run.flow import Compared, Flow, recipes_after, sparse_network, teacher_of, with_controls

MOST_PLANS = 10_000
SPREAD = 1.5
"""Layers keep between 1 - t^(2^1.5) and 1 - t^(2^-1.5) of their channels, for one t: at t = 0.5 between 22 and 86 %."""


@dataclass(frozen=True, kw_only=True)
class Settings(TuneSettings):
    """The settings of all runs that fine-tune, the budget and the number of plans."""

    NEWER: ClassVar[tuple[str, ...]] = TuneSettings.NEWER

    rule: tyro.conf.Suppress[tyro.conf.Fixed[str]] = "thesis"
    min_share: tyro.conf.Suppress[tyro.conf.Fixed[float | None]] = None
    control: bool = False
    """Also train the unpruned network on equally long."""
    dense_as_long: Literal["auto", "yes", "no"] = "no"
    """Also train the dense network, without L1, for as many epochs as all of a pruned network's together."""
    keep_macs: Share = 0.3
    """Budget of all plans: the most multiply-adds of one image, as a share of the unpruned network's."""
    plans: int = 32
    """Plans that are drawn."""

    def check(self) -> None:
        super().check()
        shares(keep_macs=self.keep_macs)
        more_than(0, keep_macs=self.keep_macs)
        at_least(2, plans=self.plans)
        if self.plans > MOST_PLANS:
            raise ValueError(f"--plans is {self.plans}: take at most {MOST_PLANS}")

    def budget(self, spec: ModelSpec, side: int) -> Budget:
        """The limit; `spec` is the unpruned network, images are of this side."""
        return Budget.keeping(self.keep_macs, spec, side)

    def check_network(self, spec: ModelSpec, side: int) -> None:
        self.budget(spec, side).require_possible(spec, self.cutting().fewest(spec), self.multiple)

    def cutting(self) -> Cutting:
        return replace(super().cutting(), by_budget=True)


def random_widths(
    spec: ModelSpec, scores: Scores, fewest: Mapping[str, int], budget: Budget, seed: int, number: int, multiple: int
) -> ChannelPlan:
    """A plan within the budget whose layers keep different shares of their channels, sampled by the seeds of the run
    and of the plan.

    `scores` are those of the rule `rank`, 0 to 1; each layer's go to a power of its own, 2 to the power of a number
    drawn evenly from -SPREAD to SPREAD."""
    generator = torch.Generator().manual_seed(MOST_PLANS * seed + number)
    powers = 2 ** (SPREAD * (2 * torch.rand(len(scores), generator=generator) - 1))
    drawn = {layer: values**power for (layer, values), power in zip(scores.items(), powers, strict=True)}
    return budget.fill(spec, drawn, fewest, multiple)


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    sparse = sparse_network(settings, info)
    budget, rule = settings.budget(settings.unpruned(info), info.side), replace(settings, rule="rank", min_share=0)
    draws = (
        partial(random_widths, budget=budget, seed=settings.seed, number=number, multiple=settings.multiple)
        for number in range(settings.plans)
    )
    cuts = [sparse.pruned(rule.cut(draw)) for draw in draws]
    tuning = recipes_after(cuts, settings, info, lambda recipes: recipes.fine_tune)
    networks = with_controls(sparse, settings, info, tuning)
    teacher = teacher_of(networks, settings)
    compared = (
        Compared(f"plan {number}", budget, cut.then("fine-tune", tuning, teacher)) for number, cut in enumerate(cuts, 1)
    )
    yield Flow("proxy", settings, networks, compared=tuple(compared))


def main(settings: Settings) -> None:
    execute(settings, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
