"""The author's rows are whole, each in its table once, and never mixed with ours."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from bcnn_prune.records import RunRecord
from tests.helpers.explicit_records import PUBLISHED, THESIS, everything, rows_of
from thesis_figures import tables
from thesis_figures.analysis import reference
from thesis_figures.load import Measured


def broken(tmp_path: Path, old: str, new: str) -> Path:
    text = PUBLISHED.read_text()
    assert text.count(old) == 1
    path = tmp_path / "published.csv"
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1204831,0.42,9 23", "1204831,0.42,9 24", r"line 25: the widths of oneshot on cars in table 4\.4, 0\.8 cut"),
        ("71.66,1204831", "71.66,1204830", r"give 1,204,831 parameters, the row says 1204830"),
        ("71.66,1204831", "71.66,", r"the row says none"),
        ("oneshot,1e-4,0.8,71.66", "oneshot,1e-4,most,71.66", "line 25: could not convert"),
        (",gmacs_224,", ",gmacs,", "no column gmacs_224"),
    ],
)
def test_a_published_row_that_does_not_add_up_is_refused_by_name(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=rf"published\.csv.*{message}"):
        tables.write(Measured(), broken(tmp_path, old, new), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_without_rows_of_a_set_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text("".join(line for line in PUBLISHED.read_text().splitlines(True) if ",cars," not in line))
    with pytest.raises(ValueError, match=r"published\.csv has no row of cars: take the project's own"):
        tables.write(Measured(), path, tmp_path / "out")


@pytest.mark.parametrize("records", [[], everything()], ids=["no records", "records"])
def test_every_published_row_is_in_its_table_once(records: list[RunRecord]) -> None:
    made = {table.name: table for table in tables.record_tables(records, THESIS)}
    for number in ("4.3", "4.4", "4.5", "4.6", "4.7"):
        rows = [
            (row["data_set"], float(row["accuracy_percent_mean"]), row["params_mean"], row["gmacs_mean"])
            for row in rows_of(made[f"table-{number}"], source="thesis")
        ]
        published = [row for row in csv.DictReader(PUBLISHED.read_text().splitlines()) if row["table"] == number]
        expected = [
            (
                row["dataset"],
                float(row["accuracy_percent"]),
                row["params"],
                f"{float(row['gmacs_224']):g}" if row["gmacs_224"] else "",
            )
            for row in published
        ]
        assert sorted(rows) == sorted(expected)
    assert sum(len(rows_of(made[f"table-4.{i}"], source="thesis")) for i in range(3, 8)) == len(THESIS) == 52


def test_no_row_of_ours_comes_from_published_numbers() -> None:
    def ours(records: list[RunRecord], published: list[reference.ThesisRow]) -> list[dict[str, str]]:
        rows = (row for table in tables.record_tables(records, published) for row in rows_of(table))
        return [row for row in rows if row.get("source") == "ours"]

    changed = [
        replace(row, accuracy=row.accuracy / 2, params=row.params and row.params + 1, gmacs=row.gmacs and row.gmacs * 2)
        for row in THESIS
    ]
    assert ours(everything(), changed) == ours(everything(), THESIS)
    assert len(ours(everything(), THESIS)) > 40
    assert ours([], THESIS) == []
