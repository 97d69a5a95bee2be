"""Networks that runs ended with, by set and method: accuracy beside parameters, multiply-adds, bytes and CPU time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bcnn_prune.evaluation.cost import file_bytes
from bcnn_prune.records import Cost, Evaluation, RunRecord
from bcnn_prune.spec import ModelSpec
from thesis_figures.analysis import compression
from thesis_figures.analysis.equal_cost import DISTILLED, SELECTIONS
from thesis_figures.analysis.runs import flow_of, over_seeds, set_of, share_cut

FLOW, CRITERION, SCRATCH, EQUAL_COST = "flows", "criteria", "training from scratch", "equal cost"
COMPRESSION = "ways to a small network"
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

    @property
    def tuning(self) -> int:
        """Epochs of fine-tuning at equal cost; 0 elsewhere, where they follow from the cut."""
        recipe = self.record.recipes.get("fine-tune") if self.comparison == EQUAL_COST else None
        return recipe.epochs if recipe else 0


def networks(record: RunRecord) -> Iterator[Network]:
    """The pruned networks of a run, and those trained from scratch in their shape; none of a sweep or an ablation, and
    none at equal milliseconds."""
    comparison, method = _method(record)
    timed = record.latency.get("pruned")
    for i, step in enumerate(record.steps):
        ms = timed.median_ms if timed and step is record.steps[-1] else None
        yield Network(comparison, method, record, share_cut(record, i), step.spec, step.cost, step.final, ms)
    for name, tested in record.test.items():
        if record.steps and name.startswith("scratch"):
            last = record.steps[-1]
            ms = timed.median_ms if timed else None
            yield Network(comparison, ANEW.get(name, name), record, share_cut(record), last.spec, last.cost, tested, ms)
    for one in (network for network in record.compared if network.keep_macs is not None):
        cut = round(1 - one.spec.channels / record.spec.channels, 6)
        name = SELECTIONS.get(one.selection, one.selection) + DISTILLED * bool(record.settings.get("distil"))
        yield Network(EQUAL_COST, name, record, cut, one.spec, one.cost, one.test, None)


def points(records: Iterable[RunRecord]) -> list[tuple[Network, ...]]:
    """The same network of runs that differ in their seed alone, in the order of `over_seeds`."""
    groups: dict[object, list[Network]] = {}
    for number, runs in enumerate(over_seeds(records)):
        for run in runs:
            for place, network in enumerate(networks(run)):  # cuts by a budget differ from seed to seed
                groups.setdefault((number, place), []).append(network)
    return [tuple(group) for group in groups.values()]


def named(groups: Iterable[tuple[Network, ...]]) -> list[tuple[str, tuple[Network, ...]]]:
    """Each of these points with its method, and the epochs of fine-tuning where a method of a set has several."""
    methods = [(set_of(group[0].record), group[0].comparison, group[0].method, group) for group in groups]
    lengths: dict[tuple[str, ...], set[int]] = {}
    for *key, group in methods:
        lengths.setdefault(tuple(key), set()).add(group[0].tuning)
    return [
        (key[-1] + f", {group[0].tuning} epochs" * (len(lengths[tuple(key)]) > 1), group) for *key, group in methods
    ]


def _method(record: RunRecord) -> tuple[str, str]:
    if record.experiment == "criteria":
        return CRITERION, str(record.settings["criterion"])
    if record.experiment == compression.EXPERIMENT:
        return COMPRESSION, compression.Method((record,)).name
    if record.experiment == "scratch":
        return SCRATCH, "pruned and fine-tuned"
    return FLOW, flow_of(record) or record.experiment
