"""A run as one table: every network that was evaluated, on the same test images."""

from collections.abc import Mapping

from rich.table import Table

from bcnn_prune.evaluation.cpu_load import describe_load
from bcnn_prune.records import Cost, Evaluation, Latency, RunRecord
from bcnn_prune.records.sensitivity import Sensitivity

NAMES = {
    "classifier": "classifier alone, trunk as pretrained",
    "control": "control: sparse, trained on, not pruned",
    "dense-as-long": "control: dense, trained as long",
    "scratch-epochs": "scratch: the pruned shape, as many epochs",
    "scratch-compute": "scratch: the pruned shape, as much computing",
}


def table(record: RunRecord) -> Table:
    """Accuracy, counts, cost and CPU time of each network; the caption says how many channels stay."""
    timing = record.latency["dense"]
    threads = f"CPU ms, batch {timing.batch}, {timing.threads} threads"
    shown = Table(title=f"{record.experiment} on {record.data.name}, seed {record.seed}")
    shown.add_column("network")
    for column in ("test accuracy", "correct", "parameters", "M multiply-adds", threads):
        shown.add_column(column, justify="right")

    def row(name: str, evaluation: Evaluation | None, cost: Cost, latency: Latency | None = None) -> None:
        if evaluation is not None:
            share = f" ({cost.params / record.cost.params:.0%})" if cost != record.cost else ""
            counts, macs = f"{evaluation.correct}/{evaluation.images}", f"{cost.macs / 1e6:,.1f}"
            shown.add_row(name, f"{evaluation.accuracy:.4f}", counts, f"{cost.params:,}{share}", macs, _time(latency))

    timed = "dense" if "dense" in record.test else list(record.test)[-1]
    for name, evaluation in record.test.items():
        cost = record.steps[-1].cost if name.startswith("scratch") else record.cost
        row(NAMES.get(name, name), evaluation, cost, record.latency["dense"] if name == timed else None)
    for step in (*record.steps, *record.sweep):
        cut = step.method or f"{1 - step.spec.channels / record.spec.channels:.0%} cut"
        latency = record.latency.get("pruned") if step is (record.steps or (None,))[-1] else None
        stages = {
            "before training" if step.method else "rebuilt": step.rebuilt,
            "dropped channels' ReLU(β) absorbed": step.absorbed,
            "repaired by least squares": step.repaired,
            "BN statistics recomputed": step.recalibrated,
            "fine-tuned": step.fine_tuned,
        }
        for stage, tested in stages.items():
            row(f"{cut}: {stage}", tested, step.cost, latency if tested is step.final else None)
        for packed in step.packed:
            stored = Cost(packed.nonzero, step.cost.macs)
            row(f"{cut}: weights of {packed.bits} bits, {packed.file_bytes:,} bytes", packed.test, stored)
    for network in record.compared:
        row(f"{network.selection}, {network.budget}", network.test, network.cost)
    if record.steps:
        shown.caption = _caption(record)
    return shown


def sensitivity_table(found: Sensitivity, width_of: Mapping[str, int]) -> Table:
    """A row a layer: the change of val accuracy at each width that it was cut to alone."""
    most = max(map(len, found.widths.values()))
    shown = Table(title=f"val accuracy {found.whole.accuracy:.4f}; its change in points with one layer cut to a width")
    shown.add_column("layer (width)")
    for _ in range(most):
        shown.add_column("", justify="right")
    for layer, widths in found.widths.items():
        cells = (f"{width}: {-100 * loss:+.1f}" for width, loss in zip(widths, found.losses(layer), strict=True))
        shown.add_row(f"{layer} ({width_of[layer]})", *[""] * (most - len(widths)), *cells)
    return shown


def _time(latency: Latency | None) -> str:
    if latency is None:
        return ""
    return f"{latency.median_ms:.2f} [{latency.lower_quartile_ms:.2f}-{latency.upper_quartile_ms:.2f}]"


def _caption(record: RunRecord) -> str:
    dense, pruned = record.latency["dense"], record.latency["pruned"]
    speed = (
        f"the {record.steps[-1].method or 'pruned'} network is {dense.median_ms / pruned.median_ms:.2f} times as fast "
        f"on this CPU (median and quartiles of {dense.rounds} alternating passes; "
        f"{describe_load((dense.load, pruned.load))})"
    )
    if record.steps[-1].method:
        return speed
    return (
        f"{record.steps[-1].spec.channels:,} of {record.spec.channels:,} channels stay; {speed}; "
        f"rebuilt = silenced to {max(step.certificate for step in record.steps):.0e}"
    )
