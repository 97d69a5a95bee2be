"""Ours: what one sparse network loses at every rate, before any fine-tuning."""

from collections.abc import Sequence

from bcnn_prune.records import RunRecord
from thesis_figures.analysis.frame import networks
from thesis_figures.analysis.reference import ThesisRow
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
    drafts,
    finished,
)
from thesis_figures.tables.cuts import RECALIBRATED
from thesis_figures.tables.table import Column, Table

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
    frame = networks(record for record in records if record.experiment == "sweep")
    frame = frame[frame["network"].isin(["sparse", "swept"])]
    dropped = frame["rebuilt_percent"].fillna(frame["accuracy_percent"])
    return Table(
        name="table-sweep",
        title="Cuts of one sparse network at every rate, without fine-tuning",
        columns=COLUMNS,
        rows=finished(drafts(frame.assign(dropped_percent=dropped), COLUMNS), (DATA_SET, RATE)),
        notes=(OURS_NOTE, NOTE),
    )
