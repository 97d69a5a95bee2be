"""The thesis' tables, made of records and the published rows alone: ours beside the thesis', and never mixed."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bcnn_prune.records import RunRecord
from thesis_figures.analysis import reference
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.load import Measured
from thesis_figures.tables import (
    ablation,
    compression,
    confusion,
    cost,
    counters,
    datasets,
    equal_cost,
    exercises,
    findings,
    flows,
    formats,
    network_latency,
    networks,
    proxy,
    recipes,
    runtimes,
    scratch,
    surgery,
    sweep,
)
from thesis_figures.tables.table import Table

Maker = Callable[[Sequence[RunRecord], Sequence[ThesisRow]], Table]
"""A table is a function of the records and the published rows."""
TABLES: tuple[Maker, ...] = (
    cost.unpruned,
    cost.pruned,
    datasets.table,
    recipes.table,
    ablation.table,
    flows.one_shot,
    flows.iterative,
    flows.soft,
    flows.heavier,
    flows.criteria,
    scratch.table,
    sweep.table,
    findings.table,
)


def record_tables(records: Sequence[RunRecord], published: Sequence[ThesisRow]) -> list[Table]:
    """Every table, in the thesis' order, ours after; the last ones only where there are records for them."""
    tables = [table(records, published) for table in TABLES]
    last = (confusion.table, proxy.table)
    some = (table(records, published) for table in last)
    return tables + [table for table in some if table is not None]


def measured_tables(measured: Measured) -> list[Table]:
    """The tables of time, files, memory and counters, as far as they were measured."""
    tables: list[Table] = []
    if measured.times:
        tables.append(network_latency.table(measured.times))
    if measured.runtimes:
        tables.append(runtimes.published(measured.runtimes))
    if measured.deployed:
        tables.append(runtimes.deployed(measured.deployed))
    if compared := equal_cost.table(measured.records, measured.files):
        tables.append(compared)
    if compressed := compression.table(measured.records, measured.compressed, measured.files, measured.timm):
        tables.append(compressed)
    if course := exercises.table(measured.records, measured.files):
        tables.append(course)
    if measured.counters is not None:
        tables += counters.tables(measured.counters)
    if measured.surgery is not None and measured.surgery.runs:
        tables.append(surgery.table(measured.surgery))
    if measured.counted is not None:
        found = {(network.name, network.side): network.cost for network in measured.counted.networks}
        tables += [networks.networks(found), networks.separable()]
    return tables


def write(measured: Measured, published: Path, out: Path) -> list[Path]:
    """Write every table as <out>/table-4.4.csv, .md and .tex and so on; returns the files.

    `published` is the CSV of the thesis' rows. Raises ValueError that names a row that does not add up, and
    for two records of the same settings and seed."""
    tables = record_tables(measured.records, reference.read(published)) + measured_tables(measured)
    return [path for table in tables for path in formats.write(table, out)]
