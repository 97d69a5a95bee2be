"""The thesis' first finding put to our records: how many parameters can go at equal accuracy?"""

from collections.abc import Sequence

import pandas as pd

from bcnn_prune.records import RunRecord
from thesis_figures.analysis.findings import CLAIMED, EQUAL, THESIS_FLOWS, smallest_equal, smallest_published
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.analysis.runs import Spread, set_of
from thesis_figures.tables.cells import (
    ACCURACY,
    DATA_SET,
    OURS_NOTE,
    PARAMS,
    RATE,
    RUNS,
    SHARE,
    SOURCE,
    only,
    over_runs,
    thesis_cells,
)
from thesis_figures.tables.table import Column, Row, Table

FLOW = Column("flow", "flow")
DENSE_VAL = Column("dense_val_percent", "dense\nval %", ".2f", spread=True)
VAL = Column("val_percent", "pruned\nval %", ".2f", spread=True)
DENSE = Column("dense_percent", "dense\ntest %", ".2f", spread=True)
CHANGE = Column("change_points", "change to\ndense, points", "+z.2f", spread=True)
REMOVED = Column("removed", "removed", ".1%", spread=True, deviation=False)
CLAIM = Column("claimed", "removed, the\nthesis says", ".0%")
COLUMNS = (
    *(DATA_SET, SOURCE, FLOW, RATE, RUNS, DENSE_VAL, VAL, DENSE, ACCURACY, CHANGE),
    *(PARAMS, SHARE, REMOVED, CLAIM),
)
NOTES = (
    f"Of all cuts in tables 4.4 to 4.7 the one with the fewest parameters whose accuracy on val, mean over seeds, is "
    f"at most {EQUAL:g} point below the dense network's of the same runs. Test accuracy chose nothing.",
    "Thesis: the same rule among its published rows, but on the test split, against its unpruned network with L1 "
    "(table 4.3, bcnn-bn-l1); what it says itself stands beside.",
    OURS_NOTE,
)


def table(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """A row for each set of ours, empty behind its name where no cut is equal, and one for each of the thesis'."""
    families = {set_of(record): record.data.family for record in records}
    rows = [(families[data_set], _ours(data_set, best)) for data_set, best in smallest_equal(records).items()]
    rows += [(family, _thesis(family, reference)) for family in sorted({row.family for row in reference})]
    rows.sort(key=lambda placed: (placed[0], str(placed[1][SOURCE.name]), str(placed[1][DATA_SET.name])))
    title = f"The most parameters removed at accuracy within {EQUAL:g} point of the dense network's"
    return Table("table-findings", title, COLUMNS, tuple(row for _, row in rows), NOTES)


def _ours(data_set: str, best: pd.DataFrame) -> Row:
    if best.empty:
        return {DATA_SET.name: data_set, SOURCE.name: "ours", FLOW.name: "none"}
    dense = 100 * best["record"].map(lambda run: run.test["dense"].accuracy)
    changes = best["accuracy_percent"] - dense
    removed = 1 - best["share_of_dense"]
    return over_runs(best.assign(dense_percent=dense, change_points=changes, removed=removed), COLUMNS)


def _thesis(family: str, reference: Sequence[ThesisRow]) -> Row:
    best, dense = smallest_published(family, reference)
    return {
        **only(COLUMNS, thesis_cells(best)),
        FLOW.name: THESIS_FLOWS[best.table],
        RATE.name: best.rate,
        DENSE.name: Spread.of([dense]),
        CHANGE.name: Spread.of([best.accuracy - dense]),
        REMOVED.name: Spread.of([1 - (best.params or 0) / best.unpruned]),
        CLAIM.name: CLAIMED[family],
    }
