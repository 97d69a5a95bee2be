"""A table as CSV, Markdown and LaTeX."""

import csv
import re
from pathlib import Path

import pytest

from tests.helpers.explicit_records import PUBLISHED, THESIS, everything
from thesis_figures import tables
from thesis_figures.analysis.runs import Spread
from thesis_figures.load import Measured
from thesis_figures.tables import cuts, formats
from thesis_figures.tables.table import Column, Row, Table

MADE = [*tables.record_tables(everything(), THESIS), *tables.record_tables([], THESIS)]


def test_two_writes_give_the_same_bytes_in_any_order_of_the_records(tmp_path: Path) -> None:
    written = []
    for name, records in (("first", everything()), ("second", everything()[::-1])):
        paths = tables.write(Measured(records), PUBLISHED, tmp_path / name)
        assert sorted(paths) == sorted((tmp_path / name).iterdir())
        written.append({path.name: path.read_bytes() for path in paths})
    assert written[0] == written[1]
    assert {"table-3.4.csv", "table-4.4.md", "table-4.7.tex", "table-findings.csv"} < set(written[0])


@pytest.mark.parametrize("table", MADE, ids=lambda table: table.name)
def test_a_csv_reads_back_as_plain_numbers(table: Table) -> None:
    header, *rows = csv.reader(formats.as_csv(table).splitlines())
    assert len(set(header)) == len(header)
    assert len(rows) == len(table.rows)
    for cells, row in zip(rows, table.rows, strict=True):
        read = dict(zip(header, cells, strict=True))
        for column in table.columns:
            cell = row.get(column.name)
            if isinstance(cell, Spread):
                assert float(read[f"{column.name}_mean"]) == pytest.approx(cell.mean, rel=1e-11)
                assert int(read[f"{column.name}_n"]) == cell.n
            elif isinstance(cell, int | float):
                assert float(read[column.name]) == pytest.approx(cell, rel=1e-11)
            elif not column.spread:
                assert read[column.name] == (cell or "")


@pytest.mark.parametrize("table", MADE, ids=lambda table: table.name)
def test_a_latex_table_is_balanced(table: Table) -> None:
    text = formats.as_latex(table)
    assert text.isascii()
    unescaped = re.sub(r"\\[&%$#_{}]|%$", "", text, flags=re.MULTILINE)
    assert unescaped.count("{") == unescaped.count("}")
    assert not re.search(r"[#%_]", unescaped)
    assert all(line.count("$") % 2 == 0 for line in unescaped.splitlines())
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert (begun, ended) == (["table", "tabular"], ["tabular", "table"])
    (form,) = re.findall(r"\\begin{tabular}{([lr]+)}", text)
    body = unescaped[unescaped.index(r"\toprule") : unescaped.index(r"\bottomrule")].splitlines()
    lines = [line for line in body if line not in (r"\toprule", r"\midrule")]
    assert len(lines) == len(table.rows) + 1
    for line in lines:
        assert line.count("&") == len(form) - 1
        assert line.endswith(r" \\")


@pytest.mark.parametrize("table", MADE, ids=lambda table: table.name)
def test_the_lines_of_a_markdown_table_are_of_one_width(table: Table) -> None:
    lines = [line for line in formats.as_markdown(table).splitlines() if line.startswith("|")]
    assert len(lines) == len(table.rows) + 2
    assert {(len(line), line.count(" | ")) for line in lines} == {(len(lines[0]), len(table.visible) - 1)}


def test_what_markdown_and_latex_would_read_as_a_command_is_escaped() -> None:
    row: Row = {"name": r"a|b_c & 5% {x} \y", "value": Spread(1.25, 0.5, 2)}
    columns = (Column("name", "a name"), Column("value", "λ\nof it", ".1f", spread=True), Column("none", "nothing"))
    table = Table("table-x", "50 % & more", columns, (row,))
    assert r"| a\|b_c & 5% {x} \y | 1.2 ± 0.5 |" in formats.as_markdown(table)
    latex = formats.as_latex(table)
    assert r"a$|$b\_c \& 5\% \{x\} \textbackslash{}y & 1.2 $\pm$ 0.5 \\" in latex
    assert r"a name & \shortstack[r]{$\lambda$ \\ of it} \\" in latex
    assert r"\caption{50 \% \& more}" in latex
    assert "nothing" not in latex
    assert formats.as_csv(table).splitlines() == [
        "name,value_mean,value_sd,value_n,none",
        r"a|b_c & 5% {x} \y,1.25,0.5,2,",
    ]


def test_a_cell_without_a_column_is_refused() -> None:
    with pytest.raises(ValueError, match="table-x has no column b"):
        Table("table-x", "", (Column("a", "a"),), ({"b": 1},))
    with pytest.raises(ValueError, match="no cell of the column a"):
        Table("table-x", "", (Column("a", "a", "d", spread=True),), ({"a": 1},))


def test_a_change_that_rounds_to_nothing_has_no_sign_of_loss() -> None:
    assert cuts.CHANGE.text(Spread(-0.001, None, 1)) == "+0.00"
    assert cuts.CHANGE.text(Spread(-0.5, 0.25, 2)) == "-0.50 ± 0.25"
