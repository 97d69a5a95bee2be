"""Thesis table 4.1: the image sets, ours as prepared and the thesis' as it states them."""

from collections.abc import Sequence

from bcnn_prune.datasets import OFFICIAL, Kind
from bcnn_prune.records import RunRecord
from thesis_figures.analysis.reference import SIDE, ThesisRow
from thesis_figures.tables.cells import DATA_SET, SOURCE
from thesis_figures.tables.table import Cell, Column, Row, Table

KINDS: dict[Kind, str] = {
    "official": "official",
    "subset": "part of the official",
    "synthetic": "drawn",
    "own": "of one's own",
}

COLUMNS = (
    DATA_SET,
    SOURCE,
    Column("kind", "kind"),
    Column("classes", "classes", "d"),
    Column("train", "train", ",d"),
    Column("val", "val", ",d"),
    Column("test", "test", ",d"),
    Column("side", "side, px", "d"),
    Column("fewest_per_class", "fewest of\na class", "d"),
    Column("most_per_class", "most of\na class", "d"),
    Column("narrowest_source", "narrowest\nsource, px", "d"),
    Column("widest_source", "widest\nsource, px", "d"),
    Column("lowest_source", "lowest\nsource, px", "d"),
    Column("highest_source", "highest\nsource, px", "d"),
    Column("digest", "SHA-256", shown=False),
)
NOTES = (
    "Drawn sets are rendered by this project: they share a family of classes with the official set, and no image. "
    "Fewest and most of a class count all splits; sources are the images before resizing.",
    "The thesis has no val split: its rows count train and val together.",
)


def table(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """Table 4.1: a row for each set of the records, and the official ones."""
    prepared = {(record.data.name, record.data.digest): record for record in records}
    rows = [(record.data.family, _ours(record)) for record in prepared.values()]
    classes = {row.family: row.classes for row in reference}
    rows += [(family, _thesis(family, count)) for family, count in classes.items()]
    rows.sort(key=lambda placed: (placed[0], *(placed[1].get(name) for name in ("source", "data_set", "digest"))))
    ordered = tuple(row for _, row in rows)
    return Table("table-4.1", "Image sets (thesis table 4.1)", COLUMNS, ordered, NOTES)


def _ours(record: RunRecord) -> Row:
    data = record.data
    images: dict[str, Cell] = {split: data.images.get(split) for split in ("train", "val", "test")}
    return {
        "data_set": data.name,
        "source": "ours",
        "kind": KINDS[data.kind],
        "classes": data.classes,
        **images,
        "side": data.side,
        "fewest_per_class": data.per_class[0],
        "most_per_class": data.per_class[1],
        "narrowest_source": data.source_widths[0],
        "widest_source": data.source_widths[1],
        "lowest_source": data.source_heights[0],
        "highest_source": data.source_heights[1],
        "digest": data.digest,
    }


def _thesis(family: str, classes: int) -> Row:
    official = OFFICIAL[family]
    return {
        "data_set": family,
        "source": "thesis",
        "kind": KINDS["official"],
        "classes": classes,
        "train": official.train,
        "test": official.test,
        "side": SIDE,
    }
