"""Ours: what parameters, multiply-adds and memory of a network say of its time on a CPU."""

from collections.abc import Iterator, Sequence

from bcnn_prune.records.network_latency import LAYOUTS, CpuTimes
from thesis_figures.tables.cells import NETWORK, SOURCE
from thesis_figures.tables.table import Cell, Column, Row, Table

BATCH = Column("batch", "batch", "d")
COSTS = (
    *(Column("params", "parameters", ",d"), Column("macs", "multiply-adds", ",d")),
    Column("peak_megabytes", "MB of\nactivations", ",.1f"),
)
TIMES = tuple(
    column
    for layout in LAYOUTS
    for column in (
        Column(f"{layout}_ms", f"{layout},\nms", ".4g"),
        Column(f"{layout}_quartiles", "quartiles"),
        Column(f"{layout}_load", f"load, {layout}", ".2f", shown=False),
    )
)
LAST = (Column("n", "n", "d"), Column("load", "cores that\nothers used", ".2f"))


def table(measurements: Sequence[CpuTimes]) -> Table:
    """A row for each batch and network."""
    machines = dict.fromkeys(
        f"{times.provenance['cpu']}, {times.provenance['threads']} threads, torch {times.provenance['torch']}"
        for times in measurements
    )
    (first, *_) = measurements
    note = (
        f"Milliseconds of a forward pass of one batch, median and quartiles of n, {first.classes} classes, "
        f"{first.side} px, fresh weights, eager, fp32; each network and layout in a process of its own, all in turn. "
        "Multiply-adds and activations of one image; load: cores that other processes kept busy meanwhile."
    )
    columns = (BATCH, NETWORK, SOURCE, *COSTS, *TIMES, *LAST)
    return Table("table-cpu-time", "CPU time beside cost", columns, tuple(_rows(measurements)), (note, *machines))


def _rows(measurements: Sequence[CpuTimes]) -> Iterator[Row]:
    for times in measurements:
        for network in times.networks:
            row: dict[str, Cell] = {
                "batch": times.batch,
                "network": network.network,
                "source": network.source,
                "params": network.cost.params,
                "macs": network.cost.macs,
                "peak_megabytes": None
                if network.peak_activation_bytes is None
                else network.peak_activation_bytes / 1e6,
                "n": min(latency.rounds for latency in network.latency.values()),
                "load": max(latency.load or 0.0 for latency in network.latency.values()),
            }
            for layout, latency in network.latency.items():
                row[f"{layout}_ms"] = latency.median_ms
                row[f"{layout}_quartiles"] = f"{latency.lower_quartile_ms:.4g}–{latency.upper_quartile_ms:.4g}"
                row[f"{layout}_load"] = latency.load
            yield row
