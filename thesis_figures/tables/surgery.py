"""Ours: time and memory of surgery, beside Torch-Pruning."""

import statistics
from collections.abc import Sequence

from bcnn_prune.records.surgery import SurgeryCost, SurgeryJob, SurgeryRun
from thesis_figures.tables.table import Column, Row, Table

COLUMNS = (
    *(Column("tool", "tool"), Column("width", "width", ".3g"), Column("last_width", "C", "d")),
    *(Column("share", "cut", ".0%"), Column("channels", "channels\ncut", ",d"), Column("last", "last layer")),
    *(Column("seconds", "seconds", ".3f"), Column("seconds_min", "min", ".3f"), Column("seconds_max", "max", ".3f")),
    Column("n", "n", "d"),
    *(Column("megabytes", "MB above\nthe model", ",.0f"), Column("megabytes_min", "min", ",.0f")),
    *(Column("megabytes_max", "max", ",.0f"), Column("columns", "classifier columns\nto go", ",d")),
    *(Column("named", "named by\nthe tool", ",d"), Column("difference", "relative difference\nof logits", ".0e")),
    Column("end", "end"),
)


def table(cost: SurgeryCost) -> Table:
    """A row per job: the median over its processes, with the smallest and largest."""
    groups: dict[SurgeryJob, list[SurgeryRun]] = {}
    for run in cost.runs:
        groups.setdefault(run.job, []).append(run)
    widest = max(job.spec.channels for job in groups)
    rows = tuple(_row(job, runs, widest) for job, runs in groups.items())
    machine = cost.provenance
    notes = (
        "Median, smallest and largest of n processes. A process that exceeds "
        f"{cost.limit_seconds:g} s or {cost.limit_bytes / 1e9:g} GB is killed. C is the width of the last layer.",
        "Memory is the largest resident memory during the surgery less that before it. "
        "Logits are compared with those of the network with the same channels silenced.",
        f"{machine['cpu']}, {machine['threads']} threads, torch {machine['torch']}, "
        f"Torch-Pruning {machine['torch-pruning']}",
    )
    return Table("table-surgery", "Time and memory of surgery on a VGG-16 BCNN", COLUMNS, rows, notes)


def _row(job: SurgeryJob, runs: Sequence[SurgeryRun], widest: int) -> Row:
    row: Row = {
        "tool": job.tool,
        "width": job.spec.channels / widest,
        "last_width": job.spec.widths[-1],
        "share": job.share,
        "last": "cut" if job.last else "kept",
        "n": len(runs),
    }
    outcomes = [run.outcome for run in runs if run.outcome is not None]
    if not outcomes:
        killed = runs[0]
        layer, size = killed.reached or "the start", f"{killed.largest_bytes / 1e9:.2f} GB"
        return {**row, "end": f"killed at {layer}: {killed.killed}; the process had {size}"}
    seconds, megabytes = [run.seconds for run in outcomes], [run.peak_bytes / 1e6 for run in outcomes]
    first = outcomes[0]
    return {
        **row,
        "channels": first.channels,
        **_spread("seconds", seconds),
        **_spread("megabytes", megabytes),
        "columns": first.columns_to_go,
        "named": first.columns_named,
        "difference": first.difference,
        "end": first.failure or "runs",
    }


def _spread(name: str, values: Sequence[float]) -> dict[str, float]:
    return {name: statistics.median(values), f"{name}_min": min(values), f"{name}_max": max(values)}
