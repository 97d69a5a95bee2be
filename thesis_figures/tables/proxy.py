"""Ours: how far accuracy before fine-tuning tells the order of plans after it."""

from collections.abc import Sequence

import numpy as np

from bcnn_prune.records import RunRecord
from thesis_figures.analysis.proxy import EXPERIMENT, accuracies, tau
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.analysis.runs import Runs, Spread, over_seeds, set_of
from thesis_figures.tables.cells import DATA_SET
from thesis_figures.tables.table import Column, Row, Table

COLUMNS = (
    *(DATA_SET, Column("keep_macs", "multiply-adds\nkept", ".0%")),
    *(Column("plans", "plans", "d"), Column("n", "n", "d")),
    *(Column("tau", "Kendall's τ", ".2f", spread=True), Column("p", "p, largest", ".2g")),
    *(Column("mean_percent", "mean %", ".2f", spread=True), Column("best_percent", "best %", ".2f", spread=True)),
    Column("chosen_percent", "best before\nfine-tuning %", ".2f", spread=True),
)
NOTES = (
    "Plans of equal multiply-adds with widths drawn at random, cut from one sparse network. τ is that of test accuracy "
    "with BN statistics recomputed and of test accuracy after fine-tuning, over plans, with ties (τ-b); p of τ = 0. "
    "The last columns are accuracies after fine-tuning: of all plans, of the best, and of the plan with the highest "
    "accuracy before it.",
    "Mean ± standard deviation over n seeds.",
)


def table(records: Sequence[RunRecord], published: Sequence[ThesisRow]) -> Table | None:
    """A row per set and budget; None where no run compares such plans. `published` has none."""
    groups = over_seeds(record for record in records if record.experiment == EXPERIMENT)
    if not groups:
        return None
    title = "Accuracy before fine-tuning as a proxy of that after it"
    return Table("table-proxy", title, COLUMNS, tuple(map(_row, groups)), NOTES)


def _row(runs: Runs) -> Row:
    found = [tau(record) for record in runs]
    told = np.isfinite(found).all()  # where all plans tie there is no order
    before, after = np.array([accuracies(record) for record in runs]).transpose(1, 0, 2)
    chosen = after[np.arange(len(runs)), before.argmax(1)]
    return {
        DATA_SET.name: set_of(runs[0]),
        "keep_macs": runs[0].compared[0].keep_macs,
        "plans": after.shape[1],
        "n": len(runs),
        **({"tau": Spread.of([statistic for statistic, _ in found]), "p": max(p for _, p in found)} if told else {}),
        "mean_percent": Spread.of((100 * after.mean(1)).tolist()),
        "best_percent": Spread.of((100 * after.max(1)).tolist()),
        "chosen_percent": Spread.of((100 * chosen).tolist()),
    }
