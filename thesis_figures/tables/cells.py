"""Rows of our tables: columns they share, means over seeds, their order, and a label where rows look alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from bcnn_prune.records import RunRecord
from bcnn_prune.records.file_latency import FileTimes
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.analysis.runs import Runs, Spread, differences, over, shared_recipes
from thesis_figures.analysis.variants import label
from thesis_figures.tables.table import Cell, Column, Row

DATA_SET, SOURCE = Column("data_set", "data set"), Column("source", "source")
NETWORK, RATE = Column("network", "network"), Column("rate", "cut", ".0%")
DIFFERS = Column("differs_in", "differs in")
ACCURACY = Column("accuracy_percent", "test\naccuracy %", ".2f", spread=True)
RUNS = Column("n", "n", "d")
PARAMS = Column("params", "parameters", ",.0f", spread=True, deviation=False)
SHARE = Column("share_of_dense", "of dense", ".1%", spread=True, deviation=False)
MS = Column("ms", "ms of\nthe file", ".3f", spread=True, deviation=False)
MS_SHARE = Column("ms_share", "of dense", ".0%", spread=True, deviation=False)
GMACS = Column("gmacs", "G\nmultiply-adds", ".4g", spread=True, deviation=False)

OURS_NOTE = (
    "Ours: mean ± standard deviation (n − 1) over n runs that differ in their seed. Whatever was chosen was chosen on "
    "the val split; the test split was read to report only."
)
THESIS_NOTE = (
    "Thesis: published rows of the full official sets, full width and 224 px; one seed, and the epoch was chosen on "
    "the test split. They stand beside ours, which are of other images, and are in no mean."
)

_VARIANTS = ("vgg", "vgg-bn", "bcnn", "bcnn-bn", "bcnn-bn-longer", "bcnn-bn-l1")
_ORDER = ("classifier", "dense", *_VARIANTS, "sparse", "control", "dense-as-long", "pruned")


def thesis_cells(row: ThesisRow) -> dict[str, Cell]:
    """The cells of a published row that are alike in all tables."""
    return {
        DATA_SET.name: row.family,
        SOURCE.name: "thesis",
        ACCURACY.name: Spread.of([row.accuracy]),
        RUNS.name: 1,
        PARAMS.name: None if row.params is None else Spread.of([row.params]),
        SHARE.name: None if row.params is None else Spread.of([row.params / row.unpruned]),
        GMACS.name: None if row.gmacs is None else Spread.of([row.gmacs]),
    }


def only(columns: Iterable[Column], cells: Row) -> dict[str, Cell]:
    """The cells of these columns: not every table shows all."""
    return {column.name: cells[column.name] for column in columns if column.name in cells}


def how_timed(files: FileTimes) -> str:
    """A note on the cells of MS and MS_SHARE."""
    return (
        f"ms of the file: median at batch 1 of a file of this shape in {label(files.runtime)}, threads: "
        f"{files.threads}, on {files.provenance['cpu']}."
    )


@dataclass(frozen=True)
class Draft:
    """A row before it is sorted by the family of its data set.

    `settings` distinguish its runs from those of a row that looks alike, the most important first."""

    row: Row
    family: str
    settings: tuple[Mapping[str, object], ...] = ()
    runs: Runs = ()


def drafts(frame: pd.DataFrame, columns: Sequence[Column]) -> list[Draft]:
    """A row per network of each group of a frame of `networks`."""
    return [_draft(rows, columns) for _, rows in frame.groupby(["group", "network", "step"], sort=False)]


def over_runs(rows: pd.DataFrame, columns: Iterable[Column]) -> dict[str, Cell]:
    """The cells that a frame of one network's runs fills: a Spread over the runs, other cells from the first."""
    filled = [column for column in columns if column.name in rows]
    cells = {
        column.name: over(rows[column.name].dropna()) if column.spread else rows[column.name].iloc[0]
        for column in filled
    }
    return {SOURCE.name: "ours", RUNS.name: len(rows), **cells}


def _draft(rows: pd.DataFrame, columns: Iterable[Column]) -> Draft:
    first = rows.iloc[0]
    return Draft(over_runs(rows, columns), first["family"], settings_of(first["record"]), tuple(rows["record"]))


def settings_of(record: RunRecord) -> tuple[Mapping[str, object], ...]:
    """Settings and data; then the recipes, which also depend on the program."""
    settings = {name: value for name, value in record.settings.items() if name != "seed"}
    return {**settings, "data": record.data.digest[:8]}, recipe_fields(record, record.recipes)


def recipe_fields(record: RunRecord, phases: Iterable[str]) -> dict[str, object]:
    """Each number of these phases, as far as the run has them, by its name: "control epochs"."""
    recipes = shared_recipes(record)
    return {
        f"{phase} {name}": value
        for phase in phases
        if phase in recipes
        for name, value in asdict(recipes[phase]).items()
    }


def finished(drafts: Iterable[Draft], alike: Sequence[Column]) -> tuple[Row, ...]:
    """The rows by family, rate, source, set and network; rows equal in the columns `alike` name what differs."""
    groups: dict[tuple[Cell, ...], list[Draft]] = {}
    for draft in drafts:
        groups.setdefault(tuple(draft.row.get(column.name) for column in (SOURCE, *alike)), []).append(draft)
    rows: list[tuple[str, Row]] = []
    for group in groups.values():
        labels = differences([draft.settings for draft in group])
        rows += [
            (draft.family, {**draft.row, DIFFERS.name: label or None})
            for draft, label in zip(group, labels, strict=True)
        ]
    return tuple(row for _, row in sorted(rows, key=_place))


def _place(placed: tuple[str, Row]) -> tuple[object, ...]:
    family, row = placed
    data_set, network = str(row[DATA_SET.name]), row.get(NETWORK.name)
    order = _ORDER.index(str(network)) if network in _ORDER else len(_ORDER)
    return (
        family,
        row.get(RATE.name) or 0,
        row[SOURCE.name],
        data_set,
        order,
        str(network),
        str(row.get(DIFFERS.name)),
        repr(row),
    )
