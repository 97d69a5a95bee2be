"""Sparse networks of the records, and what each share to cut leaves of them, by the ranking that surgery uses."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from bcnn_prune.evaluation.cost import cost_lines
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.ranking import drop_counts, min_widths, removal_order, without
from bcnn_prune.records import Cost, Evaluation, PruneStep, RunRecord
from bcnn_prune.spec import ModelSpec
from thesis_figures.analysis.runs import is_heavier, set_of

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

    @property
    def steps(self) -> list[PruneStep]:
        """The cuts that runs made of it."""
        return [step for run in self.runs for step in (*run.steps[:1], *run.sweep)]

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
        """Counts of this cut by stage; fine-tuned by one-shot pruning alone, as other flows train for other times."""
        found = [
            (stage, getattr(step, stage))
            for run in self.runs
            for step in (*run.steps[:1], *run.sweep)
            for stage in STAGES
            if step.plan == plan and (stage != "fine_tuned" or run.experiment == "oneshot")
        ]
        return {stage: counts for stage, counts in reversed(found) if counts is not None}


def sparse_networks(records: Iterable[RunRecord]) -> list[SparseNetwork]:
    """One network per data set, seed and penalty: where several machines trained one, that with the most cuts.

    In the order of sets, seeds and penalties; without those whose channels go in blocks."""
    by_scales: dict[tuple[str, int, bool, object], list[RunRecord]] = {}
    for record in records:
        if record.scales and (record.steps or record.sweep) and not record.spec.blocks:
            key = (set_of(record), record.seed, is_heavier(record), tuple(record.scales.items()))
            by_scales.setdefault(key, []).append(record)
    chosen: dict[object, SparseNetwork] = {}
    for (*place, _), runs in sorted(by_scales.items(), key=lambda item: item[0][:3]):
        network = SparseNetwork(tuple(runs))
        if tuple(place) not in chosen or len(network.steps) > len(chosen[tuple(place)].steps):
            chosen[tuple(place)] = network
    return list(chosen.values())
