"""Sparse networks of the records, and what each share to cut leaves of them, by the ranking that surgery uses."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from bcnn_prune.evaluation.cost import cost_lines
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.ranking import drop_counts, min_widths, removal_order, without
from bcnn_prune.records import Cost, Evaluation, RunRecord
from bcnn_prune.spec import ModelSpec
from thesis_figures.analysis.runs import is_heavier
from thesis_figures.analysis.sets import by_network

PENALTIES = {False: "plain", True: "heavier"}
"""Names of the L1 penalties, by whether the last layer has its own."""
STAGES = ("rebuilt", "absorbed", "recalibrated", "fine_tuned")
"""Stages of PruneStep that a cut by |γ| is measured at."""


@dataclass(frozen=True)
class ScaleCut:
    """One share of a sparse network's channels cut by |γ|."""

    percent: int
    """Of all channels."""
    plan: ChannelPlan
    threshold: float
    """The largest |γ| that goes; 0 if none does."""
    spec: ModelSpec
    cost: Cost
    file_bytes: int
    """Weights and statistics in fp32."""
    tested: dict[str, Evaluation]
    """Test counts by stage, where runs made this very cut."""


@dataclass(frozen=True)
class SparseNetwork:
    """A sparse network, by the runs that cut it, of which it has one or more."""

    runs: tuple[RunRecord, ...]
    """All hold the same scales."""

    @property
    def record(self) -> RunRecord:
        return self.runs[0]

    @property
    def penalty(self) -> str:
        return PENALTIES[is_heavier(self.record)]

    def cuts(self) -> Iterator[ScaleCut]:
        """A cut for each whole percentage from 0 up to the most that the runs' settings let go."""
        record, spec, settings = self.record, self.record.spec, self.record.settings
        scores = {layer: np.asarray(values) for layer, values in record.scales.items()}
        widths = {layer: len(values) for layer, values in scores.items()}
        fewest = min_widths(widths, int(settings.get("floor") or 1), float(settings.get("min_share") or 0))
        order = removal_order(scores, fewest)
        for percent in range(100):
            (drop,) = drop_counts(spec.channels, percent / 100)
            if drop > len(order):
                return
            plan = without(scores, order[:drop]).completed(spec)
            left = plan.narrow(spec)
            lines = cost_lines(left, record.data.side).values()
            cost = Cost(sum(line.params for line in lines), sum(line.macs for line in lines))
            highest = max((float(scores[layer][i]) for layer, i in order[:drop][-1:]), default=0.0)
            yield ScaleCut(
                percent, plan, highest, left, cost, sum(line.file_bytes for line in lines), self._tested(plan)
            )

    def _tested(self, plan: ChannelPlan) -> dict[str, Evaluation]:
        """Counts of this cut by stage; fine-tuned by one-shot pruning alone, and as its recipe says, as other flows
        train for other times."""
        found = [
            (stage, getattr(step, stage))
            for run in self.runs
            for step in (*run.steps[:1], *run.sweep)
            for stage in STAGES
            if step.plan == plan and (stage != "fine_tuned" or _as_usual(run))
        ]
        return {stage: counts for stage, counts in reversed(found) if counts is not None}


def _as_usual(run: RunRecord) -> bool:
    """True for one-shot pruning that fine-tunes as the recipe says, without a teacher."""
    changed = ("fine_tune_epochs", "fine_tune_rate", "distil")
    return run.experiment == "oneshot" and not any(map(run.settings.get, changed))


def sparse_networks(records: Iterable[RunRecord]) -> list[SparseNetwork]:
    """The sparse networks of `sets.by_network`, without those whose channels go in blocks."""
    return [SparseNetwork(runs) for runs in by_network(records).values() if not runs[0].spec.blocks]
