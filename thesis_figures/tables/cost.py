"""Thesis 3.4: parameters and multiply-adds written out line by line, from channel widths alone."""

from collections.abc import Sequence

from bcnn_prune.evaluation.cost import cost_lines, file_bytes, peak_activation_bytes, total_cost
from bcnn_prune.layers import Activation, Step, Window
from bcnn_prune.records import RunRecord
from bcnn_prune.spec import ModelSpec
from thesis_figures.analysis.reference import BACKBONE, SIDE, ThesisRow
from thesis_figures.tables.table import Cell, Column, Row, Table

EXAMPLE = "cars"
COLUMNS = (
    Column("layer", "layer"),
    Column("kernel", "kernel"),
    Column("in_channels", "in", ",d"),
    Column("out_channels", "out", ",d"),
    Column("map_side", "map\nside", "d"),
    Column("params_formula", "parameters, written out"),
    Column("params", "parameters", ",d"),
    Column("macs_formula", "multiply-adds, written out"),
    Column("macs", "multiply-adds", ",d"),
    Column("flops", "FLOPs", ",d", shown=False),
    Column("elementwise", "elementwise\noperations", ",d"),
    Column("outputs", "output\nelements", ",d"),
    Column("file_bytes", "bytes on disk", ",d", shown=False),
)
TOTALS = ("params", "macs", "flops", "elementwise", "file_bytes")  # outputs do not all live at once
NOTE = (
    "In and out are channels, or entries of the vector of features; the map side is in pixels. Multiply-adds of one "
    "image, as the thesis counts; FLOPs are two a multiply-add. Elementwise operations (a bias 1 an element, BN 2, "
    "ReLU 1, a 2 × 2 maximum 3, the average of the products 1, the signed root 5, the norm 3) are no multiply-adds and "
    "in neither. A bias and ReLU write over their input: their output is no memory of its own."
)


def unpruned(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """Table 3.4 for the author's whole network on cars."""
    specs = {row.family: ModelSpec.of(BACKBONE, row.classes) for row in reference}
    others = "; ".join(f"{family} {total_cost(spec, SIDE).params:,}" for family, spec in sorted(specs.items()))
    title = f"The unpruned VGG-16 BCNN for {EXAMPLE}, parameters and multiply-adds (thesis 3.4)"
    return _table("table-3.4", title, specs[EXAMPLE], f"Parameters of the three sets' networks: {others}.")


def pruned(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """The same for the published network of cars with the fewest parameters."""
    rows = [(row.params, row.spec, row) for row in reference if row.family == EXAMPLE and row.spec and row.params]
    params, spec, row = min(rows, key=lambda sized: sized[0])
    title = f"The smallest published network for {EXAMPLE}, parameters and multiply-adds (thesis 3.4)"
    note = (
        f"Thesis table {row.table}, {row.method}, {row.rate:.0%} of the channels cut. The author states {params:,} "
        f"parameters ({params / row.unpruned:.1%} of the unpruned network's) and {row.gmacs:g} G multiply-adds."
    )
    return _table("table-3.4-pruned", title, spec, note)


def written_out(spec: ModelSpec, side: int) -> list[Row]:
    """The lines of `cost_lines` in its order, each with the products that give its two numbers."""
    return [
        {
            "layer": name,
            **_shape(step, bias=name != step.name),
            "params_formula": "·".join(map(str, line.param_factors)) or None,
            "macs_formula": "·".join(map(str, line.mac_factors)) or None,
            **{column: getattr(line, column) for column in (*TOTALS, "outputs")},
        }
        for step in spec.steps(side)
        for name, line in step.layer.lines(step.name, step.x, step.y).items()
    ]


def _shape(step: Step, bias: bool) -> dict[str, Cell]:
    """Kernel, channels or entries in and out, and the side of the map that is handed on, or pooled."""
    x, y = step.y if bias else step.x, step.y
    kernel = f"{step.layer.kernel}×{step.layer.kernel}" if isinstance(step.layer, Window) and not bias else None
    sides = [activation.side for activation in (y, x) if activation.layout == "map" and activation.side > 1]
    return {
        "kernel": kernel,
        "in_channels": _length(x),
        "out_channels": _length(y),
        "map_side": sides[0] if sides else None,
    }


def _length(activation: Activation) -> int:
    return activation.channels if activation.layout == "map" else activation.size


def _table(name: str, title: str, spec: ModelSpec, note: str) -> Table:
    lines = list(cost_lines(spec, SIDE).values())
    last: Row = {"layer": "total", **{column: sum(getattr(line, column) for line in lines) for column in TOTALS}}
    return Table(name, title, COLUMNS, (*written_out(spec, SIDE), last), (NOTE, note, _memory(spec)))


def _memory(spec: ModelSpec) -> str:
    weights, small = (file_bytes(spec, folded) / 1e6 for folded in (False, True))
    live, cost = peak_activation_bytes(spec, SIDE) / 1e6, total_cost(spec, SIDE, folded=True)
    return (
        f"In fp32 the weights take {weights:.1f} MB on disk, with BN's running statistics, and the largest input and "
        f"output that must live at once {live:.1f} MB for an image. Folded for inference (BN into the convolutions, "
        f"each pair of channels once) it has {cost.params:,} parameters, {cost.macs:,} multiply-adds and {small:.1f} "
        "MB on disk."
    )
