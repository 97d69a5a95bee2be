"""A table before it is any file: columns that know their unit and how they are shown, rows of plain values."""

from collections.abc import Mapping
from dataclasses import dataclass

from thesis_figures.analysis.runs import Spread

Cell = str | int | float | bool | Spread | None
Row = Mapping[str, Cell]


@dataclass(frozen=True)
class Column:
    """One quantity. `name` heads it in CSV, `heading` elsewhere; a line break in it is kept where there is room."""

    name: str
    heading: str
    form: str = ""
    """Format specification of numbers; empty for text."""
    spread: bool = False
    """Its cells are Spreads: in CSV three columns, <name>_mean, <name>_sd and <name>_n."""
    deviation: bool = True
    """Show the deviation of a Spread, too."""
    shown: bool = True
    """False for columns of the CSV alone."""

    def text(self, cell: Cell) -> str:
        """The cell as it is read: empty where there is nothing."""
        if cell is None:
            return ""
        if not isinstance(cell, Spread):
            return format(cell, self.form) if self.form else str(cell)
        mean = format(cell.mean, self.form)
        if cell.deviation is None or not self.deviation:
            return mean
        return f"{mean} ± {format(cell.deviation, self.form.replace('+', ''))}"


@dataclass(frozen=True)
class Table:
    """`name` becomes the file's. A row lacks the cells without a value; `notes` follow below."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        spreads = {column.name: column.spread for column in self.columns}
        for row in self.rows:
            for name, cell in row.items():
                if name not in spreads:
                    raise ValueError(f"{self.name} has no column {name}")
                if cell is not None and isinstance(cell, Spread) != spreads[name]:
                    raise ValueError(f"{self.name}: {cell!r} is no cell of the column {name}")

    @property
    def visible(self) -> tuple[Column, ...]:
        """The shown columns that any row has a cell in; all of them where there is no row."""
        shown = tuple(column for column in self.columns if column.shown)
        return tuple(c for c in shown if any(row.get(c.name) is not None for row in self.rows)) or shown
