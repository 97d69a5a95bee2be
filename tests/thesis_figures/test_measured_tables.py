"""Tables of counters and of surgery, made of the committed records."""

import csv
import re
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from bcnn_prune.records import counters, surgery
from thesis_figures import load
from thesis_figures.tables import counters as counter_tables
from thesis_figures.tables import formats
from thesis_figures.tables import surgery as surgery_table
from thesis_figures.tables.table import Row, Table

RESULTS = Path(__file__).parents[2] / "results"
COMPARISON = counters.read_counters(counters.file_of(RESULTS / "cost"))
SURGERY = surgery.read_surgery(surgery.file_of(RESULTS / "surgery"))
TABLES = [*counter_tables.tables(COMPARISON), surgery_table.table(SURGERY)]


def plain(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(formats.as_csv(table).splitlines()))


def test_both_records_are_found_among_the_results(tmp_path: Path) -> None:
    for path in (counters.file_of(tmp_path / "cost"), surgery.file_of(tmp_path / "surgery")):
        path.parent.mkdir()
        path.write_bytes((RESULTS / path.relative_to(tmp_path)).read_bytes())
    measured = load.read(tmp_path)
    assert (measured.counters, measured.surgery) == (COMPARISON, SURGERY)


def test_a_counters_cost_is_ours_plus_the_explained_amounts() -> None:
    rows = plain(counter_tables.by_counter(COMPARISON))
    ours = {row["network"]: row for row in rows if row["counter"] == "ours"}
    assert len(rows) == len(ours) * (1 + len(COMPARISON.alone))
    for row in rows:
        amounts = [int(amount.replace(",", "")) for amount in re.findall(r" ([+-][\d,]+) \(", row["reason"])]
        assert int(row["macs"]) - int(ours[row["network"]]["macs"]) == sum(amounts) == int(row["more_macs"] or 0)


def test_a_step_is_in_the_table_as_counted_alone() -> None:
    rows = {row["counter"]: row for row in plain(counter_tables.by_step(COMPARISON))}
    assert (rows["fvcore"]["bn"], rows["torchinfo"]["bn"]) == ("2 per output element", "1 per parameter")
    assert (rows["thop"]["pooling"], rows["FlopCounterMode"]["pooling"]) == ("not counted", "")
    unclear = replace(COMPARISON, alone={"odd": {"bn": None}})
    assert plain(counter_tables.by_step(unclear)) == [{"counter": "odd", "bn": "unexplained"}]


def test_surgery_shows_the_median_of_its_processes() -> None:
    (row,) = [
        row
        for row in surgery_table.table(SURGERY).rows
        if (row["tool"], row["share"], row["last"]) == ("rebuild", 0.6, "cut")
    ]
    outcomes = [
        run.outcome
        for run in SURGERY.runs
        if (run.job.tool, run.job.share, run.job.last) == ("rebuild", 0.6, True) and run.outcome is not None
    ]
    assert row["n"] == len(outcomes)
    assert row["seconds"] == statistics.median(outcome.seconds for outcome in outcomes)
    assert row["megabytes_max"] == max(outcome.peak_bytes for outcome in outcomes) / 1e6


def test_a_killed_process_has_no_time_and_says_why() -> None:
    killed: list[Row] = [row for row in surgery_table.table(SURGERY).rows if "killed" in str(row["end"])]
    assert len(killed) == len({run.job for run in SURGERY.runs if run.killed})
    assert all("seconds" not in row for row in killed)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_latex_is_balanced_ascii(table: Table) -> None:
    text = formats.as_latex(table)
    assert text.isascii()
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("content", ["no JSON", "{}", '{"side": 224}'])
def test_a_file_that_is_no_record_is_named(content: str, tmp_path: Path) -> None:
    for kind, path in (("comparison of counters", tmp_path / "counters.json"), ("surgery", tmp_path / "surgery.json")):
        path.write_text(content)
        with pytest.raises(ValueError, match=rf"{path.name} is no .*{kind}"):
            (counters.read_counters if path.stem == "counters" else surgery.read_surgery)(path)
