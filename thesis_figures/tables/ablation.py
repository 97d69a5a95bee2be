"""Thesis table 4.3: what each part of the network is worth."""

from collections.abc import Sequence

from bcnn_prune.records import RunRecord
from thesis_figures.analysis.frame import networks
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.tables.cells import (
    ACCURACY,
    DATA_SET,
    DIFFERS,
    GMACS,
    NETWORK,
    OURS_NOTE,
    PARAMS,
    RUNS,
    SOURCE,
    THESIS_NOTE,
    Draft,
    drafts,
    finished,
    only,
    thesis_cells,
)
from thesis_figures.tables.table import Column, Table

WEIGHTS = Column("weights", "first weights")
COLUMNS = (DATA_SET, SOURCE, NETWORK, WEIGHTS, DIFFERS, ACCURACY, RUNS, PARAMS, GMACS)
NOTE = (
    "vgg: averages of the last feature map instead of the bilinear pooling; bn: with BatchNorm; l1: trained on with L1 "
    "on the BN scales; longer: trained on for as many epochs without; at-once: the classifier is not trained alone "
    "first, and all is trained for as many epochs. Thesis rows have their published names; its bcnn-bn-l1 has L1 from "
    "the start."
)


def table(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """Table 4.3: a row for each network and first weights."""
    frame = networks(record for record in records if record.experiment == "ablation")
    frame = frame.groupby(["group", "seed"]).tail(1)  # of the networks that a run trains, one after another
    for setting, column in (("variant", NETWORK), ("weights", WEIGHTS)):
        frame[column.name] = [str(record.settings[setting]) for record in frame["record"]]
    rows = drafts(frame, COLUMNS)
    for row in reference:
        if row.table == "4.3":
            # All but vgg16-scratch start from ImageNet weights (thesis table 4.2).
            weights = "none" if row.method.endswith("scratch") else "imagenet"
            cells = only(COLUMNS, thesis_cells(row))
            rows.append(Draft({**cells, NETWORK.name: row.method, WEIGHTS.name: weights}, row.family))
    return Table(
        name="table-4.3",
        title="Ablation (thesis table 4.3)",
        columns=COLUMNS,
        rows=finished(rows, (DATA_SET, NETWORK, WEIGHTS)),
        notes=(OURS_NOTE, THESIS_NOTE, NOTE),
    )
