"""Networks that runs ended with, by set and method: accuracy beside parameters, multiply-adds, bytes and CPU time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bcnn_prune.evaluation.cost import file_bytes
from bcnn_prune.records import Cost, Evaluation, RunRecord
from bcnn_prune.spec import ModelSpec
from thesis_figures.analysis.runs import FLOWS, over_seeds, share_cut

FLOW, CRITERION, SCRATCH = "flows", "criteria", "training from scratch"
"""Comparisons: methods that stand in one chart."""

ANEW = {"scratch-epochs": "from scratch, as many epochs", "scratch-compute": "from scratch, as much computing"}


@dataclass(frozen=True)
class Network:
    """A network of one run."""

    comparison: str
    method: str
    record: RunRecord
    cut: float
    """Share of all channels."""
    spec: ModelSpec
    cost: Cost
    tested: Evaluation
    ms: float | None
    """Forward pass of one image on a CPU; None where it was not timed."""

    @property
    def bytes(self) -> int:
        """In fp32."""
        return file_bytes(self.spec)


def networks(record: RunRecord) -> Iterator[Network]:
    """The pruned networks of a run, and those trained from scratch in their shape; none of a sweep or an ablation."""
    comparison, method = _method(record)
    if not record.steps:
        return
    for i, step in enumerate(record.steps):
        is_last, timed = step is record.steps[-1], record.latency.get("pruned")
        ms = timed.median_ms if is_last and timed else None
        yield Network(comparison, method, record, share_cut(record, i), step.spec, step.cost, step.final, ms)
    for name, tested in record.test.items():
        if name.startswith("scratch"):
            yield Network(comparison, ANEW.get(name, name), record, share_cut(record), step.spec, step.cost, tested, ms)


def points(records: Iterable[RunRecord]) -> list[tuple[Network, ...]]:
    """The same network of runs that differ in their seed alone, in the order of `over_seeds`."""
    return [alike for runs in over_seeds(records) for alike in zip(*map(networks, runs), strict=True)]


def _method(record: RunRecord) -> tuple[str, str]:
    if record.experiment == "criteria":
        return CRITERION, str(record.settings["criterion"])
    if record.experiment == "scratch":
        return SCRATCH, "pruned and fine-tuned"
    return FLOW, next((flow for flow, belongs in FLOWS.items() if belongs(record)), record.experiment)
