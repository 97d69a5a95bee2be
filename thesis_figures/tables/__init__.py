"""The thesis' tables, made of records and the published rows alone: ours beside the thesis', and never mixed."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bcnn_prune.deployment.report import DeployReport
from bcnn_prune.deployment.times import RuntimeRecord
from bcnn_prune.records import RunRecord
from thesis_figures.tables import (
    ablation,
    cost,
    datasets,
    findings,
    flows,
    formats,
    recipes,
    reference,
    runtimes,
    scratch,
    sweep,
    timings,
)
from thesis_figures.tables.reference import ThesisRow
from thesis_figures.tables.table import Table
from thesis_figures.timings import CpuTimes

Maker = Callable[[Sequence[RunRecord], Sequence[ThesisRow]], Table]
"""What every table is: a function of the records and the published rows."""
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


def made(records: Sequence[RunRecord], published: Sequence[ThesisRow]) -> list[Table]:
    """Every table, in the thesis' order, ours after."""
    return [table(records, published) for table in TABLES]


def of_runtimes(times: RuntimeRecord | None, reports: Sequence[DeployReport]) -> list[Table]:
    """The tables of published and of deployed networks in every runtime, as far as they were timed."""
    found = [runtimes.published(times)] if times is not None and times.networks else []
    return [*found, runtimes.deployed(reports)] if reports else found


def write(
    records: Sequence[RunRecord],
    published: Path,
    out: Path,
    times: Sequence[CpuTimes] = (),
    more: Sequence[Table] = (),
) -> list[Path]:
    """Write every table as <out>/table-4.4.csv, .md and .tex and so on, that of CPU times where any are known, and
    `more`; returns the files.

    `published` is the CSV of the thesis' rows. Raises ValueError that names a row of it which does not add up, and
    for two records that tell of the same settings and seed."""
    tables = made(records, reference.read(published)) + ([timings.table(times)] if times else [])
    return [path for table in (*tables, *more) for path in formats.write(table, out)]
