"""The thesis' published rows: read, checked, and kept apart from ours."""

import csv
from dataclasses import dataclass
from pathlib import Path

from bcnn_prune.datasets import OFFICIAL
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.files import require_file
from bcnn_prune.spec import ModelSpec

BACKBONE, SIDE = "vgg16", 224
"""The author's network, and the pixels that the multiply-adds of a published row are counted at."""

COLUMNS = (
    *("table", "dataset", "classes", "method", "last_bn_l1", "prune"),
    *("accuracy_percent", "params", "gmacs_224", "widths"),
)


@dataclass(frozen=True)
class ThesisRow:
    """A published row. Its accuracy is of one seed, at the epoch that was best on the test split."""

    table: str
    family: str
    """aircraft, birds or cars: the official set."""
    classes: int
    method: str
    last_sparsity: float | None
    """λ of the last BN."""
    rate: float | None
    """Share of all channels that was cut; None where nothing is pruned and no L1 is on."""
    accuracy: float
    """Percent."""
    params: int | None
    gmacs: float | None
    """10⁹ multiply-adds of one image, as published."""
    spec: ModelSpec | None

    @property
    def unpruned(self) -> int:
        """Parameters of the author's network before any cut."""
        return total_cost(ModelSpec.of(BACKBONE, self.classes), SIDE).params


def read(path: Path) -> list[ThesisRow]:
    """All rows of `path` in order.

    Raises ValueError that names a row which cannot be read, or whose widths do not give its parameters."""
    rows = []
    require_file(path)
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, restval="")
        if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
            raise ValueError(f"{path} has no column {', '.join(missing)}")
        for fields in reader:
            try:
                rows.append(_row(fields))
            except ValueError as error:
                raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
    families = [family for family, dataset in OFFICIAL.items() if dataset.in_thesis]
    if missing := [family for family in families if family not in {row.family for row in rows}]:
        raise ValueError(f"{path} has no row of {', '.join(missing)}: take the project's own file")
    return rows


def _row(fields: dict[str, str]) -> ThesisRow:
    classes, params = int(fields["classes"]), fields["params"]
    widths = tuple(map(int, fields["widths"].split()))
    row = ThesisRow(
        table=fields["table"],
        family=fields["dataset"],
        classes=classes,
        method=fields["method"],
        last_sparsity=_number(fields["last_bn_l1"]),
        rate=_number(fields["prune"]),
        accuracy=float(fields["accuracy_percent"]),
        params=int(params) if params else None,
        gmacs=_number(fields["gmacs_224"]),
        spec=ModelSpec(BACKBONE, widths, classes) if widths else None,
    )
    if row.spec is not None and (counted := total_cost(row.spec, SIDE).params) != row.params:
        raise ValueError(
            f"the widths of {row.method} on {row.family} in table {row.table}, {fields['prune']} cut, give "
            f"{counted:,} parameters, the row says {params or 'none'}"
        )
    return row


def _number(text: str) -> float | None:
    return float(text) if text else None
