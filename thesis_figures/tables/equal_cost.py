"""Ours: ways to select channels at equal multiply-adds, against the dense network that trains as long."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bcnn_prune.records import RunRecord
from bcnn_prune.records.file_latency import FileTimes
from thesis_figures.analysis.equal_cost import (
    AS_LONG,
    THESIS,
    BySeed,
    Comparison,
    Limited,
    changes,
    comparisons,
    mcnemar,
    shared,
    t_half_width,
    undistilled,
)
from thesis_figures.analysis.runs import Spread, differences, over, set_of
from thesis_figures.tables.cells import (
    DATA_SET,
    DIFFERS,
    MS,
    MS_SHARE,
    PARAMS,
    RUNS,
    SHARE,
    how_timed,
    recipe_fields,
)
from thesis_figures.tables.table import Cell, Column, Row, Table

BUDGETS: dict[Limited, Column] = {
    "multiply-adds": Column("keep_macs", "budget", ".0%"),
    "milliseconds": Column("keep_ms", "budget\nof ms", ".0%"),
}
SELECTION = Column("selection", "channels selected by")
ACCURACY = Column("accuracy_percent", "test\naccuracy %", ".2f", spread=True, deviation=False)
BEFORE = Column("before_percent", "before fine-\ntuning %", ".2f", spread=True, deviation=False)
VAL = Column("val_percent", "val %", ".2f", spread=True, deviation=False)
MACS = Column("mmacs", "M\nmultiply-adds", ".4g", spread=True, deviation=False)
MET = Column("macs_share", "of dense", ".2%", spread=True, deviation=False)
INTERVAL = Column("accuracy_interval", "± 95 %", ".2f")
BASES = {AS_LONG: "dense\nas long", THESIS: "the thesis'\nrule"}
"""Networks that all are set against: the dense one trained as long, and the thesis' rule at the same budget."""


def _against(base: str) -> tuple[Column, Column, Column, Column]:
    name = base.replace("-", "_")
    return (
        Column(f"to_{name}_points", f"to {BASES[base]}", "+z.2f", spread=True, deviation=False),
        Column(f"to_{name}_interval", "± 95 %", ".2f"),
        Column(f"to_{name}_seeds", "McNemar"),
        Column(f"to_{name}_p", "p of McNemar's test by seed", shown=False),
    )


AGAINST = {base: _against(base) for base in BASES}
COLUMNS = (
    *(DATA_SET, *BUDGETS.values(), SELECTION, DIFFERS, RUNS, ACCURACY, INTERVAL),
    *(column for columns in AGAINST.values() for column in columns),
    *(BEFORE, VAL, PARAMS, SHARE, MACS, MET, MS, MS_SHARE),
)
SIGNIFICANT = 0.05
NOTES = (
    "All are cut from the same sparse network of their seed, to the same share of the dense network's multiply-adds, "
    "or of the milliseconds of its file, and fine-tuned with the same images and as long. What was met stands on the "
    "right. Val chose the epoch that was kept; test was read once.",
    "± 95 %: half of the t interval over n seeds, which differ in weights and in the order of images. Differences are "
    "points of test accuracy, paired by seed. McNemar: seeds in which the images that one of both networks alone is "
    "right on are too unevenly divided for chance (exact test, p < 0.05), of all seeds. No correction for many tests.",
    "dense, trained as long: without L1, in one phase of as many epochs as a pruned network has in all. random, widths "
    "of ÷ mean: random channels in the very widths of that row: a tie says that the allocation is all. uniform, from "
    "the start: the widths of uniform widths by |γ|, from the initial weights, trained as long in one phase.",
)


def table(records: Sequence[RunRecord], files: FileTimes | None) -> Table | None:
    """A row for each set, budget and way, with the times of `files`; None where no record compares at equal cost."""
    by_set: dict[tuple[str, Limited], list[Comparison]] = {}
    for limited in BUDGETS:
        for comparison in comparisons(records, limited):
            by_set.setdefault((set_of(comparison.record), limited), []).append(comparison)
    rows = tuple(
        row
        for (_, limited), found in sorted(by_set.items())
        for comparison, differs in zip(found, differences([_made(one) for one in found]), strict=True)
        for row in _rows(comparison, BUDGETS[limited].name, differs, files)
    )
    if not rows:
        return None
    notes = NOTES if files is None else (*NOTES, how_timed(files))
    return Table("table-equal-cost", "Ways to select channels at equal cost", COLUMNS, rows, notes)


def _made(comparison: Comparison) -> tuple[dict[str, object], ...]:
    """What tells comparisons apart: settings and data, fine-tuning, then all recipes. Distillation is told by way."""
    record = replace(comparison.record, recipes=undistilled(comparison.record))
    fields = (recipe_fields(record, phases) for phases in (("fine-tune",), record.test))
    return {**shared(record), "data": record.data.digest[:8]}, *fields


def _rows(comparison: Comparison, budget: str, differs: str, files: FileTimes | None) -> Iterator[Row]:
    for way, networks in comparison.networks.items():
        of_each = list(networks.values())
        accuracy = Spread.of([100 * network.test.accuracy for network in of_each])
        whole = comparison.record
        ms = comparison.milliseconds((network.spec for network in of_each), files)
        dense = comparison.milliseconds([whole.spec], files)
        against = {AS_LONG: comparison.seeds(AS_LONG), THESIS: comparison.seeds(THESIS, way.budget)}
        yield {
            DATA_SET.name: set_of(comparison.record),
            budget: way.budget,
            SELECTION.name: way.label,
            DIFFERS.name: differs or None,
            RUNS.name: len(of_each),
            ACCURACY.name: accuracy,
            INTERVAL.name: t_half_width(accuracy),
            BEFORE.name: over(100 * network.before.accuracy for network in of_each if network.before),
            VAL.name: Spread.of([100 * network.val.accuracy for network in of_each]),
            PARAMS.name: Spread.of([network.cost.params for network in of_each]),
            SHARE.name: Spread.of([network.cost.params / whole.cost.params for network in of_each]),
            MACS.name: Spread.of([network.cost.macs / 1e6 for network in of_each]),
            MET.name: Spread.of([network.cost.macs / whole.cost.macs for network in of_each]),
            MS.name: over(ms),
            MS_SHARE.name: over(taken / dense[0] for taken in ms) if dense else None,
            **{name: cell for base, other in against.items() for name, cell in _difference(base, networks, other)},
        }


def _difference(base: str, networks: BySeed, other: BySeed) -> Iterator[tuple[str, Cell]]:
    """The cells of a row that set it against a base; none against itself or where no seed has both."""
    points = over(changes(networks, other))
    if points is None or networks is other:
        return
    values = mcnemar(networks, other)
    significant = sum(value < SIGNIFICANT for value in values)
    shown = (points, t_half_width(points), f"{significant} of {points.n}", "; ".join(f"{p:.3g}" for p in values))
    yield from zip((column.name for column in AGAINST[base]), shown, strict=True)
