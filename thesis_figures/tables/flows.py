"""Thesis tables 4.4 to 4.7, the pruning flows, and ours of the criteria: a row a cut."""

from collections.abc import Sequence
from dataclasses import replace

from bcnn_prune.records import RunRecord
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.analysis.runs import FLOWS, Spread, over, over_seeds, set_of
from thesis_figures.tables import cuts
from thesis_figures.tables.cells import DATA_SET, NETWORK, OURS_NOTE, PARAMS, RATE, THESIS_NOTE, Draft, finished
from thesis_figures.tables.table import Cell, Column, Table

LAST = Column("last_sparsity", "last λ", "g")
PLAIN = Column("params_plain_penalty", "parameters\nin table 4.4", ",.0f", spread=True, deviation=False)
ALIKE = (DATA_SET, NETWORK, RATE, LAST)


def one_shot(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """Table 4.4."""
    return _flow("4.4", "One-shot pruning", list(filter(FLOWS["one-shot"], records)), reference)


def iterative(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """Table 4.5: every cut of a run is a row; beside them one cut at once that is trained as long as all of them."""
    chosen = [record for record in records if record.experiment == "iterative"]
    note = (
        "Each cut goes on from the network that the one before it left. The control trains as long as the fine-tuning "
        "after all cuts together, so only the last cut is set against it; and only the last is timed."
    )
    return _flow("4.5", "Iterative pruning", chosen, reference, note)


def soft(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """Table 4.6: the cut is the end."""
    chosen = [record for record in records if record.experiment == "soft"]
    note = "Nothing is fine-tuned after the cut: the accuracy is that with BN statistics recomputed, if a run does so."
    return _flow("4.6", "Soft pruning", chosen, reference, note)


def heavier(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """Table 4.7, each cut beside the parameters that the plain penalty leaves at the same rate."""
    chosen = list(filter(FLOWS["one-shot, heavier last penalty"], records))
    plain = {_without_last_sparsity(runs[0]): runs for runs in over_seeds(filter(FLOWS["one-shot"], records))}
    drafts = []
    for draft in cuts.drafts(chosen):
        row, network, run = dict(draft.row), draft.row[NETWORK.name], draft.runs[0]
        if network != "dense":
            row[LAST.name] = run.recipes["sparse"].last_sparsity
        if network == "pruned":
            row[PLAIN.name] = over(same.steps[-1].cost.params for same in plain.get(_without_last_sparsity(run), ()))
        drafts.append(replace(draft, row=row))
    plain_params = {(row.family, row.rate): row.params for row in reference if row.table == "4.4"}
    for heavy in (row for row in reference if row.table == "4.7"):
        params = plain_params.get((heavy.family, heavy.rate))
        beside: dict[str, Cell] = {LAST.name: heavy.last_sparsity, PLAIN.name: params and Spread.of([params])}
        drafts.append(Draft({**cuts.published(heavy), **beside}, heavy.family))
    split = cuts.COLUMNS.index(PARAMS) + 1
    return Table(
        name="table-4.7",
        title="One-shot pruning with a heavier penalty on the last layer (thesis table 4.7)",
        columns=(*cuts.COLUMNS[:4], LAST, *cuts.COLUMNS[4:split], PLAIN, *cuts.COLUMNS[split:]),
        rows=finished(drafts, ALIKE),
        notes=(OURS_NOTE, THESIS_NOTE, cuts.NOTE, *cuts.timing(chosen)),
    )


def criteria(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """Ours: the same number of channels cut by each criterion."""
    chosen = [record for record in records if record.experiment == "criteria"]
    drafts = cuts.drafts(chosen, lambda record: str(record.settings["criterion"]))
    return Table(
        name="table-criteria",
        title="The same number of channels, cut by different criteria",
        columns=cuts.COLUMNS,
        rows=finished(drafts, ALIKE),
        notes=(OURS_NOTE, cuts.NOTE, *cuts.timing(chosen)),
    )


def _flow(number: str, title: str, records: Sequence[RunRecord], reference: Sequence[ThesisRow], *notes: str) -> Table:
    drafts = cuts.drafts(records)
    drafts += [Draft(cuts.published(row), row.family) for row in reference if row.table == number]
    return Table(
        name=f"table-{number}",
        title=f"{title} (thesis table {number})",
        columns=cuts.COLUMNS,
        rows=finished(drafts, ALIKE),
        notes=(OURS_NOTE, THESIS_NOTE, cuts.NOTE, *notes, *cuts.timing(records)),
    )


def _without_last_sparsity(record: RunRecord) -> str:
    """All settings and recipes of a run except its seed and the λ of the last layer."""
    settings = {name: value for name, value in record.settings.items() if name not in ("seed", "last_sparsity")}
    recipes = {phase: replace(recipe, last_sparsity=0) for phase, recipe in record.recipes.items()}
    return repr((set_of(record), record.data.digest, sorted(settings.items()), recipes))
