"""Thesis table 4.2: every training phase in numbers, as the records hold them."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from bcnn_prune.records import Augmentation, Recipe, RunRecord
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.analysis.runs import set_of
from thesis_figures.tables.cells import DATA_SET, SOURCE
from thesis_figures.tables.table import Cell, Column, Row, Table

COLUMNS = (
    DATA_SET,
    SOURCE,
    Column("phase", "phase"),
    Column("experiments", "experiments"),
    Column("epochs", "epochs", "d"),
    Column("batch", "batch", "d"),
    Column("learning_rate", "rate", "g"),
    Column("classifier_rate", "classifier's\nrate, ×", "g"),
    Column("schedule", "schedule"),
    Column("patience", "plateau, epochs", "d", shown=False),
    Column("decay", "× on a plateau", "g", shown=False),
    Column("lowest_rate", "lowest rate", "g", shown=False),
    Column("keep", "epoch\nkept"),
    Column("momentum", "Nesterov\nmomentum", "g"),
    Column("weight_decay", "weight\ndecay", "g"),
    Column("classifier_weight_decay", "classifier's\ndecay", "g"),
    Column("sparsity", "λ", "g"),
    Column("last_sparsity", "last λ", "g"),
    Column("update", "L1 by"),
    Column("teacher", "teacher:\nT, weight"),
    Column("augmentation", "augmentation"),
    Column("rotation", "rotation, ± °", "g", shown=False),
    Column("shift", "shift, ± of the side", "g", shown=False),
    Column("zoom", "zoom, ±", "g", shown=False),
    Column("colour", "colour, ±", "g", shown=False),
    Column("flip", "flip", shown=False),
)
# Thesis table 4.2 as far as the author's files show it; how long its base runs took differs.
_THESIS = Recipe(
    epochs=1,
    learning_rate=1e-2,
    batch=48,
    schedule="plateau",
    augment=Augmentation(rotation=15),
    patience=30,
    decay=0.1,
    lowest_rate=1e-6,
    momentum=0.9,
    weight_decay=1e-5,
    classifier_weight_decay=1e-5,
    sparsity=1e-4,
)
_THESIS_RATES = {"aircraft": 1e-2, "birds": 1e-2, "cars": 1e-1}
NOTES = (
    "Ours: each recipe once a set and phase, with the experiments that used it. λ is the strength of L1 on the BN "
    "scales; rates of zoom and colour are relative changes, of shift a share of the side.",
    "Thesis: its base runs, one for each λ of the last layer, which have L1 from the start; a plateau is 5 to 30 "
    "epochs (30 in most), judged on the test split. It fine-tuned 50/100/150/200 or more epochs for 20/40/60/80 % at "
    "rates of 1e-2 to 5e-1, and pruned softly for 50/100/150 epochs at 20/40/60 %, ×0.5 on a plateau.",
)


def table(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """Table 4.2: a row for each set, phase and recipe, and the thesis' base runs."""
    used: dict[tuple[str, str, Recipe], set[str]] = {}
    for record in records:
        for phase, recipe in record.recipes.items():
            used.setdefault((set_of(record), phase, recipe), set()).add(record.experiment)
    families = {set_of(record): record.data.family for record in records}
    rows = [
        (families[name], _ours(name, phase, recipe, records_of)) for (name, phase, recipe), records_of in used.items()
    ]
    strengths = {(row.family, row.last_sparsity) for row in reference if row.last_sparsity is not None}
    rows += [(family, _thesis(family, last)) for family, last in strengths]
    ordered = tuple(row for _, row in sorted(rows, key=_place))
    return Table("table-4.2", "Hyper-parameters (thesis table 4.2)", COLUMNS, ordered, NOTES)


def _ours(data_set: str, phase: str, recipe: Recipe, experiments: set[str]) -> Row:
    used = ", ".join(sorted(experiments))
    return {DATA_SET.name: data_set, SOURCE.name: "ours", "phase": phase, "experiments": used, **_cells(recipe)}


def _cells(recipe: Recipe) -> dict[str, Cell]:
    cells: dict[str, Cell] = {**asdict(recipe), **asdict(recipe.augment)}
    for told_elsewhere in ("augment", "trains", "distillation", "sparsity_share", "scale_weight_decay"):
        del cells[told_elsewhere]  # in the name of the phase, or in words
    if taught := recipe.distillation:
        cells["teacher"] = f"{taught.temperature:g}, {taught.weight:g}"
    cells["schedule"] = "cosine to 0"
    if recipe.schedule == "plateau":
        cells["schedule"] = f"×{recipe.decay:g} after {recipe.patience} flat epochs, to {recipe.lowest_rate:g}"
    else:
        cells |= dict.fromkeys(("patience", "decay", "lowest_rate"))
    if recipe.sparsity == recipe.last_sparsity == 0:
        cells["update"] = None
    if recipe.sparsity_share:  # λ changes from epoch to epoch
        cells |= {"sparsity": None, "last_sparsity": None}
        cells["update"] = f"{recipe.update}, λ for {recipe.sparsity_share:.0%} of γ at zero"
    if recipe.scale_weight_decay is not None:
        decay = f"decay of γ {recipe.scale_weight_decay:g}"
        cells["update"] = f"{cells['update']}, {decay}" if cells["update"] else decay
    cells["flip"] = "yes" if recipe.augment.flip else "no"
    cells["augmentation"] = _in_words(recipe.augment)
    return cells


def _in_words(augment: Augmentation) -> str:
    amounts = {"shift": augment.shift, "zoom": augment.zoom, "colour": augment.colour}
    parts = [f"±{augment.rotation:g}°"] if augment.rotation else []
    parts += [f"{name} ±{amount:g}" for name, amount in amounts.items() if amount]
    return ", ".join([*parts, "flip"] if augment.flip else parts) or "none"


def _thesis(family: str, last: float) -> Row:
    recipe = replace(_THESIS, learning_rate=_THESIS_RATES[family], last_sparsity=last)
    unknown = {"epochs": None, "classifier_rate": None}
    return {DATA_SET.name: family, SOURCE.name: "thesis", "phase": "base", **_cells(recipe), **unknown}


def _place(placed: tuple[str, Row]) -> tuple[object, ...]:
    family, row = placed
    data_set, phase = str(row[DATA_SET.name]), row["phase"]
    first = ("base", "classifier", "dense", "sparse", "control", "dense-as-long", "fine-tune", "soft")
    order = first.index(str(phase)) if phase in first else len(first)
    rest = (str(row.get(column.name)) for column in COLUMNS)
    return (family, row[SOURCE.name], data_set, order, phase, row.get("last_sparsity") or 0.0, *rest)
