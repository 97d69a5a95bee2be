"""Thesis table 4.1: the image sets, ours as prepared and the thesis' as it states them."""

from collections.abc import Sequence

from bcnn_prune.records import RunRecord
from thesis_figures.tables.cells import DATA_SET, SOURCE, family_of
from thesis_figures.tables.reference import SIDE, ThesisRow
from thesis_figures.tables.table import Cell, Column, Row, Table

# Train (with val) and test images of the official sets: thesis table 4.1.
OFFICIAL = {"aircraft": (6_667, 3_333), "cars": (8_144, 8_041), "birds": (5_994, 5_794)}

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
    rows = [_ours(record) for record in prepared.values()]
    classes = {row.family: row.classes for row in reference}
    rows += [_thesis(family, count) for family, count in classes.items()]
    ordered = sorted(
        rows, key=lambda row: (family_of(str(row["data_set"])), row["source"], row["data_set"], row.get("digest"))
    )
    return Table("table-4.1", "Image sets (thesis table 4.1)", COLUMNS, tuple(ordered), NOTES)


def _ours(record: RunRecord) -> Row:
    data = record.data
    kind = (
        "drawn" if data.name.startswith("drawn-") else "official" if data.name in OFFICIAL else "part of the official"
    )
    images: dict[str, Cell] = {split: data.images.get(split) for split in ("train", "val", "test")}
    return {
        "data_set": data.name,
        "source": "ours",
        "kind": kind,
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
    train, test = OFFICIAL[family]
    return {
        "data_set": family,
        "source": "thesis",
        "kind": "official",
        "classes": classes,
        "train": train,
        "test": test,
        "side": SIDE,
    }
