"""Ours: parameters and multiply-adds by several counters, and the field's networks beside ours."""

from collections.abc import Iterator
from dataclasses import asdict

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.records.counters import PACKAGES, CounterComparison, in_words
from thesis_figures.tables.cells import NETWORK, SOURCE
from thesis_figures.tables.table import Column, Row, Table

COUNTER = Column("counter", "counter")
PARAMS, MACS = Column("params", "parameters", ",d"), Column("macs", "multiply-adds", ",d")
BY_COUNTER = (
    *(NETWORK, COUNTER, PARAMS, Column("more_params", "difference", "+,d")),
    *(MACS, Column("more_macs", "difference", "+,d"), Column("reason", "counted otherwise")),
)
MEMORY = (Column("megabytes", "MB on disk", ",.1f"), Column("peak_megabytes", "MB of\nactivations", ",.1f"))


def tables(comparison: CounterComparison) -> list[Table]:
    """Whole networks by counter, single steps by counter, and networks by size."""
    return [by_counter(comparison), by_step(comparison), by_size(comparison)]


def by_counter(comparison: CounterComparison) -> Table:
    """A row per network and counter, after one of our own count."""
    title = f"Parameters, and multiply-adds of an image of {comparison.side} px, by counter"
    return Table("table-counters", title, BY_COUNTER, tuple(_counter_rows(comparison)), (_packages(comparison),))


def by_step(comparison: CounterComparison) -> Table:
    """A row per counter, a column per kind of step."""
    kinds = dict.fromkeys(kind for excesses in comparison.alone.values() for kind in excesses)
    rows: list[Row] = [
        {COUNTER.name: counter, **{kind: in_words(excess) for kind, excess in excesses.items()}}
        for counter, excesses in comparison.alone.items()
    ]
    title = "Multiply-adds that each counter adds to ours, by kind of step, each measured alone"
    columns = (COUNTER, *(Column(kind, kind) for kind in kinds))
    return Table("table-counters-steps", title, columns, tuple(rows), (_packages(comparison),))


def by_size(comparison: CounterComparison) -> Table:
    """A row per network: ours as trained and as folded for inference, then the field's."""
    rows: list[Row] = [
        {
            NETWORK.name: size.network,
            SOURCE.name: size.source,
            **asdict(size.cost),
            "megabytes": size.file_bytes / 1e6,
            "peak_megabytes": None if size.peak_activation_bytes is None else size.peak_activation_bytes / 1e6,
        }
        for size in comparison.sizes
    ]
    title = f"Parameters, and multiply-adds and activations of an image of {comparison.side} px"
    return Table("table-network-sizes", title, (NETWORK, SOURCE, PARAMS, MACS, *MEMORY), tuple(rows))


def _counter_rows(comparison: CounterComparison) -> Iterator[Row]:
    for network in dict.fromkeys(count.network for count in comparison.counts):
        ours = total_cost(comparison.specs[network], comparison.side)
        yield {NETWORK.name: network, COUNTER.name: "ours", **asdict(ours)}
        for count in (count for count in comparison.counts if count.network == network):
            yield {
                NETWORK.name: network,
                COUNTER.name: count.counter,
                **asdict(count.cost),
                "more_params": count.cost.params - ours.params,
                "more_macs": count.cost.macs - ours.macs,
                "reason": count.reason,
            }


def _packages(comparison: CounterComparison) -> str:
    """Versions of the packages that bring the counters: "torch 2.15.0, thop 0.1.1"."""
    return ", ".join(f"{package} {comparison.provenance[package]}" for package in ("torch", *PACKAGES))
