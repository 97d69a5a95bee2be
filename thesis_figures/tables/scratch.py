"""Ours: does pruning find weights or a shape? The pruned shape trained anew beside the pruned network."""

from collections.abc import Sequence

from bcnn_prune.records import RunRecord
from thesis_figures.analysis.frame import networks
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.analysis.runs import share_cut
from thesis_figures.tables.cells import (
    ACCURACY,
    DATA_SET,
    DIFFERS,
    GMACS,
    NETWORK,
    OURS_NOTE,
    PARAMS,
    RATE,
    RUNS,
    SHARE,
    SOURCE,
    drafts,
    finished,
)
from thesis_figures.tables.table import Column, Table

EPOCHS = Column("epochs", "epochs\nin all", ".0f", spread=True, deviation=False)
CHANGE = Column("change_points", "change to\npruned, points", "+z.2f", spread=True)
COLUMNS = (
    *(DATA_SET, SOURCE, RATE, NETWORK, DIFFERS, EPOCHS, ACCURACY, RUNS, PARAMS, SHARE, GMACS),
    CHANGE,
)
PHASES = {
    "dense": ("classifier", "dense"),
    "sparse": ("classifier", "dense", "sparse"),
    "control": ("classifier", "dense", "sparse", "control"),
    "dense-as-long": ("classifier", "dense-as-long"),
    "pruned": ("classifier", "dense", "sparse", "fine-tune"),
    "scratch-epochs": ("scratch-epochs",),
    "scratch-compute": ("scratch-compute",),
}
"""The networks, and the phases that each was trained by from its first weights on, as far as the run has them."""
NOTE = (
    "The rate is that of the cut which gave the shape. dense, sparse and control are not cut; pruned is fine-tuned "
    "after one cut; scratch has the pruned shape and new weights, trained for as many epochs as the pruned network saw "
    "in all, or for as many multiply-adds as those took: the more a seed's cut saves, the more epochs, and their mean "
    "stands here. Changes are taken seed by seed, in points of test accuracy."
)


def table(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """A row for each set, rate and network. The thesis has no such rows."""
    frame = networks(record for record in records if record.experiment == "scratch")
    frame["rate"] = frame["record"].map(share_cut)
    frame["epochs"] = [_epochs(run, network) for run, network in zip(frame["record"], frame["network"], strict=True)]
    frame.loc[frame["network"] == "pruned", CHANGE.name] = None  # that is to the control
    return Table(
        name="table-scratch",
        title="The pruned shape, trained anew",
        columns=COLUMNS,
        rows=finished(drafts(frame, COLUMNS), (DATA_SET, RATE, NETWORK)),
        notes=(OURS_NOTE, NOTE),
    )


def _epochs(run: RunRecord, network: str) -> int:
    """Epochs from the first weights on."""
    return sum(run.recipes[phase].epochs for phase in PHASES.get(network, (network,)) if phase in run.recipes)
