"""A table as CSV (plain numbers), Markdown (for GitHub) and LaTeX (booktabs). The same table gives the same bytes."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from bcnn_prune.files import write_text
from thesis_figures.analysis.runs import Spread
from thesis_figures.tables.table import Cell, Column, Table

# What LaTeX reads as a command ([ and * only after the end of a line), and the signs that pdflatex has no letter for.
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$"}
    | {"[": "{[}", "]": "{]}", "*": "{*}", "|": "$|$", '"': "''"}
    | {"±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "°": r"$^\circ$", "−": "$-$", "→": r"$\rightarrow$"}
    | {"÷": r"$\div$", "α": r"$\alpha$", "τ": r"$\tau$", "β": r"$\beta$", "γ": r"$\gamma$", "λ": r"$\lambda$"}
)


def write(table: Table, out: Path) -> list[Path]:
    """The files <out>/<name>.csv, .md and .tex, written."""
    contents = {"csv": as_csv(table), "md": as_markdown(table), "tex": as_latex(table)}
    paths = []
    for suffix, content in contents.items():
        paths.append(out / f"{table.name}.{suffix}")
        write_text(paths[-1], content)
    return paths


def as_csv(table: Table) -> str:
    """All columns, a Spread as mean, standard deviation and n; numbers to twelve digits, empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(name for column in table.columns for name in _names(column))
    for row in table.rows:
        writer.writerow(value for column in table.columns for value in _plain(column, row.get(column.name)))
    return text.getvalue()


def as_markdown(table: Table) -> str:
    """Title, the shown columns padded to one width, and the notes as a list."""
    columns = table.visible
    body = [[column.heading.replace("\n", " ") for column in columns]]
    body += [[column.text(row.get(column.name)) for column in columns] for row in table.rows]
    body = [[text.replace("|", "\\|") for text in line] for line in body]
    widths = [max(4, *map(len, texts)) for texts in zip(*body, strict=True)]
    rule = [f"{'-' * (width - 1)}{':' if column.form else '-'}" for column, width in zip(columns, widths, strict=True)]
    lines = [
        " | ".join(
            text.rjust(width) if column.form else text.ljust(width)
            for text, column, width in zip(line, columns, widths, strict=True)
        )
        for line in [body[0], rule, *body[1:]]
    ]
    notes = "".join(f"- {note}\n" for note in table.notes)
    return f"### {table.title}\n\n" + "".join(f"| {line} |\n" for line in lines) + (f"\n{notes}" if notes else "")


def as_latex(table: Table) -> str:
    """A table environment with caption, label, rules of booktabs and the notes below.

    It needs no other package. Where graphicx is loaded too, a table that is wider than the text is shrunk to it."""
    columns = table.visible
    body = [[_latex(column.text(row.get(column.name))) for column in columns] for row in table.rows]
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{_latex(table.title)}}}",
        rf"\label{{tab:{table.name.removeprefix('table-')}}}",
        r"\scriptsize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\sbox0{{\begin{{tabular}}{{{''.join('r' if column.form else 'l' for column in columns)}}}",
        r"\toprule",
        " & ".join(_latex_heading(column) for column in columns) + r" \\",
        r"\midrule",
        *(" & ".join(cells) + r" \\" for cells in body),
        r"\bottomrule",
        r"\end{tabular}}%",
        r"\ifdim\wd0>\linewidth%",
        r"\ifdefined\resizebox\resizebox{\linewidth}{!}{\usebox0}\else\makebox[\linewidth]{\usebox0}\fi%",
        r"\else\usebox0\fi",
        *(rf"\par\smallskip\raggedright {_latex(note)}" for note in table.notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _names(column: Column) -> tuple[str, ...]:
    return tuple(f"{column.name}_{part}" for part in ("mean", "sd", "n")) if column.spread else (column.name,)


def _plain(column: Column, cell: Cell) -> Iterator[str]:
    values: tuple[Cell, ...] = (cell,)
    if column.spread:
        values = (cell.mean, cell.deviation, cell.n) if isinstance(cell, Spread) else (None, None, None)
    for value in values:
        # Twelve digits hold every count exactly, and not the rounding of a float: 99.4, not 99.39999999999999.
        yield "" if value is None else format(value, ".12g") if isinstance(value, float) else str(value)


def _latex(text: str) -> str:
    return text.translate(_LATEX)


def _latex_heading(column: Column) -> str:
    text = r" \\ ".join(_latex(line) for line in column.heading.split("\n"))
    return rf"\shortstack[{'r' if column.form else 'l'}]{{{text}}}" if "\n" in column.heading else text
