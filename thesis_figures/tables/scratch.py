"""Ours: does pruning find weights or a shape? The pruned shape trained anew beside the pruned network."""

from collections.abc import Sequence

from bcnn_prune.records import Evaluation, RunRecord
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.analysis.runs import Runs, known_first, over_seeds, share_cut
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
    Draft,
    finished,
    over,
    percent,
    sizes,
    told_of,
)
from thesis_figures.tables.table import Cell, Column, Table

EPOCHS = Column("epochs", "epochs\nin all", ".0f", spread=True, deviation=False)
CHANGE = Column("change_points", "change to\npruned, points", "+z.2f", spread=True)
COLUMNS = (
    *(DATA_SET, SOURCE, RATE, NETWORK, DIFFERS, EPOCHS, ACCURACY, RUNS, PARAMS, SHARE, GMACS),
    CHANGE,
)
PHASES = {
    "dense": ("dense",),
    "sparse": ("dense", "sparse"),
    "control": ("dense", "sparse", "control"),
    "pruned": ("dense", "sparse", "fine-tune"),
    "scratch-epochs": ("scratch-epochs",),
    "scratch-compute": ("scratch-compute",),
}
"""The networks, and the phases that each was trained by from its first weights on."""
NOTE = (
    "The rate is that of the cut which gave the shape. dense, sparse and control are not cut; pruned is fine-tuned "
    "after one cut; scratch has the pruned shape and new weights, trained for as many epochs as the pruned network saw "
    "in all, or for as many multiply-adds as those took: the more a seed's cut saves, the more epochs, and their mean "
    "stands here. Changes are taken seed by seed, in points of test accuracy."
)


def table(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """A row for each set, rate and network. The thesis has no such rows."""
    groups = over_seeds(record for record in records if record.experiment == "scratch")
    drafts = [_network(runs, name) for runs in groups for name in _networks(runs[0])]
    return Table(
        name="table-scratch",
        title="The pruned shape, trained anew",
        columns=COLUMNS,
        rows=finished(drafts, (DATA_SET, RATE, NETWORK)),
        notes=(OURS_NOTE, NOTE),
    )


def _networks(run: RunRecord) -> list[str]:
    return known_first({"pruned", *run.test}, PHASES)


def _test(run: RunRecord, name: str) -> Evaluation | None:
    return run.steps[-1].final if name == "pruned" else run.test.get(name)


def _network(runs: Runs, name: str) -> Draft:
    found = [(run, _test(run, name)) for run in runs]
    cut = name == "pruned" or name.startswith("scratch")
    row: dict[str, Cell] = {
        DATA_SET.name: runs[0].data.name,
        SOURCE.name: "ours",
        RATE.name: share_cut(runs[0]),
        NETWORK.name: name,
        EPOCHS.name: over(sum(run.recipes[phase].epochs for phase in PHASES.get(name, (name,))) for run in runs),
        ACCURACY.name: percent(test for _, test in found),
        RUNS.name: len(runs),
        **sizes([run.steps[-1].cost if cut else run.cost for run in runs], [run.cost for run in runs]),
    }
    if name.startswith("scratch"):
        row[CHANGE.name] = over(100 * (test.accuracy - run.steps[-1].final.accuracy) for run, test in found if test)
    return Draft(row, runs[0].data.family, told_of(runs[0]))
