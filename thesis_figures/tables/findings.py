"""The thesis' first finding put to our records: how many parameters can go at equal accuracy?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bcnn_prune.records import Evaluation, PruneStep, RunRecord
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.analysis.runs import FLOWS, Runs, Spread, over_seeds, share_cut
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
    over,
    percent,
    sizes,
    thesis_cells,
)
from thesis_figures.tables.table import Cell, Column, Row, Table

EQUAL = 1.0
"""Points of accuracy that count as equal."""
CLAIMED = {"aircraft": 0.9, "birds": 0.8, "cars": 0.9}
"""Share of the parameters that the thesis removes, one-shot with the heavier penalty (its abstract)."""

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


@dataclass(frozen=True)
class Candidate:
    """One cut of a group of runs."""

    flow: str
    runs: Runs
    step: int

    @property
    def steps(self) -> list[PruneStep]:
        return [run.steps[self.step] for run in self.runs]

    @property
    def val(self) -> Spread | None:
        """Accuracy in percent on val, of the epoch that was kept after the cut; soft pruning keeps it before."""
        return percent(map(self._val, self.runs))

    @property
    def dense_val(self) -> Spread | None:
        return percent(run.training["dense"].kept.val for run in self.runs)

    @property
    def params_share(self) -> float:
        shares = [run.steps[self.step].cost.params / run.cost.params for run in self.runs]
        return Spread.of(shares).mean

    @property
    def is_equal(self) -> bool:
        """Whether val is at most EQUAL points below the dense network's, rounding of floats aside."""
        val, dense = self.val, self.dense_val
        return val is not None and dense is not None and round(dense.mean - val.mean, 9) <= EQUAL

    def _val(self, run: RunRecord) -> Evaluation | None:
        tuning = run.training.get("soft") if self.flow == "soft" else run.steps[self.step].fine_tuning
        return tuning.kept.val if tuning else None


THESIS_FLOWS = {"4.4": "one-shot", "4.5": "iterative", "4.6": "soft", "4.7": "one-shot, heavier last penalty"}


def table(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """A row for each set of ours, empty behind its name where no cut is equal, and one for each of the thesis'."""
    families = {record.data.name: record.data.family for record in records}
    rows = [(families[data_set], _ours(data_set, best)) for data_set, best in smallest_equal(records).items()]
    rows += [(family, _thesis(family, reference)) for family in sorted({row.family for row in reference})]
    rows.sort(key=lambda placed: (placed[0], str(placed[1][SOURCE.name]), str(placed[1][DATA_SET.name])))
    title = f"The most parameters removed at accuracy within {EQUAL:g} point of the dense network's"
    return Table("table-findings", title, COLUMNS, tuple(row for _, row in rows), NOTES)


def smallest_equal(records: Sequence[RunRecord]) -> dict[str, Candidate | None]:
    """By data set the cut with the fewest parameters that equals the dense network on val; None where none does."""
    candidates: dict[str, list[Candidate]] = {}
    for flow, belongs in FLOWS.items():
        for runs in over_seeds(filter(belongs, records)):
            found = candidates.setdefault(runs[0].data.name, [])
            found += [Candidate(flow, runs, i) for i in range(len(runs[0].steps))]
    return {data_set: _smallest(filter(lambda cut: cut.is_equal, found)) for data_set, found in candidates.items()}


def _smallest(candidates: Iterable[Candidate]) -> Candidate | None:
    return min(candidates, key=lambda candidate: (candidate.params_share, candidate.flow, candidate.step), default=None)


def _ours(data_set: str, best: Candidate | None) -> Row:
    row: dict[str, Cell] = {DATA_SET.name: data_set, SOURCE.name: "ours"}
    if best is None:
        return {**row, FLOW.name: "none"}
    runs, steps = best.runs, best.steps
    pairs = list(zip(runs, steps, strict=True))
    return {
        **row,
        FLOW.name: best.flow,
        RATE.name: share_cut(runs[0], best.step),
        RUNS.name: len(runs),
        DENSE_VAL.name: best.dense_val,
        VAL.name: best.val,
        DENSE.name: percent(run.test["dense"] for run in runs),
        ACCURACY.name: percent(step.final for step in steps),
        CHANGE.name: over(100 * (step.final.accuracy - run.test["dense"].accuracy) for run, step in pairs),
        **_sizes(best),
    }


def _sizes(best: Candidate) -> dict[str, Cell]:
    costs, dense = [step.cost for step in best.steps], [run.cost for run in best.runs]
    removed = over(1 - cost.params / whole.params for cost, whole in zip(costs, dense, strict=True))
    return {**only(COLUMNS, sizes(costs, dense)), REMOVED.name: removed}


def _thesis(family: str, reference: Sequence[ThesisRow]) -> Row:
    rows = [row for row in reference if row.family == family]
    (dense,) = [row.accuracy for row in rows if row.method == "bcnn-bn-l1"]
    sized = [(row.params, row) for row in rows if row.table in THESIS_FLOWS and row.rate and row.params]
    params, best = min((found for found in sized if round(dense - found[1].accuracy, 9) <= EQUAL), key=lambda x: x[0])
    return {
        **only(COLUMNS, thesis_cells(best)),
        FLOW.name: THESIS_FLOWS[best.table],
        RATE.name: best.rate,
        DENSE.name: Spread.of([dense]),
        CHANGE.name: Spread.of([best.accuracy - dense]),
        REMOVED.name: Spread.of([1 - params / best.unpruned]),
        CLAIM.name: CLAIMED[family],
    }
