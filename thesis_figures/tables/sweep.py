"""Ours: what one sparse network loses at every rate, before any fine-tuning."""

from collections.abc import Sequence

from bcnn_prune.records import RunRecord
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.analysis.runs import Runs, over_seeds
from thesis_figures.tables.cells import (
    DATA_SET,
    DIFFERS,
    GMACS,
    OURS_NOTE,
    PARAMS,
    RATE,
    RUNS,
    SHARE,
    SOURCE,
    Draft,
    finished,
    percent,
    sizes,
    told_of,
)
from thesis_figures.tables.cuts import RECALIBRATED
from thesis_figures.tables.table import Cell, Column, Table

DROPPED = Column("dropped_percent", "dropped %", ".2f", spread=True)
ABSORBED = Column("absorbed_percent", "absorbed %", ".2f", spread=True)
COLUMNS = (DATA_SET, SOURCE, RATE, DIFFERS, RUNS, PARAMS, SHARE, GMACS, DROPPED, ABSORBED, RECALIBRATED)
NOTE = (
    "Test accuracy of the sparse network (0 %) and of cuts of it, none of them fine-tuned: dropped, as cut; absorbed, "
    "with what the dropped channels went on emitting, ReLU(β), folded into the next BN; BN recomputed, with its "
    "statistics averaged anew over training images instead."
)


def table(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """A row for each set and rate, 0 among them. The thesis has no such rows."""
    groups = over_seeds(record for record in records if record.experiment == "sweep")
    drafts = [_cut(runs, i, rate) for runs in groups for i, rate in enumerate((None, *rates(runs[0])), -1)]
    return Table(
        name="table-sweep",
        title="Cuts of one sparse network at every rate, without fine-tuning",
        columns=COLUMNS,
        rows=finished(drafts, (DATA_SET, RATE)),
        notes=(OURS_NOTE, NOTE),
    )


def rates(record: RunRecord) -> tuple[float, ...]:
    """The share of all channels that each cut of a sweep was told to take."""
    told = tuple(map(float, str(record.settings["rates"]).split("+")))
    if len(told) != len(record.sweep):
        raise ValueError(
            f"the sweep of {record.data.name}, seed {record.seed}, names {len(told)} rates and has {len(record.sweep)}"
        )
    return told


def _cut(runs: Runs, i: int, rate: float | None) -> Draft:
    dense = [run.cost for run in runs]
    row: dict[str, Cell] = {DATA_SET.name: runs[0].data.name, SOURCE.name: "ours", RUNS.name: len(runs)}
    if rate is None:
        row |= {RATE.name: 0.0, DROPPED.name: percent(run.test["sparse"] for run in runs), **sizes(dense, dense)}
        return Draft(row, runs[0].data.family, told_of(runs[0]))
    steps = [run.sweep[i] for run in runs]
    row |= {
        RATE.name: rate,
        **sizes([step.cost for step in steps], dense),
        DROPPED.name: percent(step.rebuilt for step in steps),
        ABSORBED.name: percent(step.absorbed for step in steps),
        RECALIBRATED.name: percent(step.recalibrated for step in steps),
    }
    return Draft(row, runs[0].data.family, told_of(runs[0]))
