"""Thesis 3.4: parameters and multiply-adds written out layer by layer, from channel widths alone."""

from collections.abc import Sequence

from bcnn_prune.evaluation.cost import cost_lines, total_cost
from bcnn_prune.records import RunRecord
from bcnn_prune.spec import ModelSpec
from thesis_figures.tables.reference import DEPTH, SIDE, ThesisRow
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
)
NOTE = (
    "In and out are channels, or entries of the vector of features; the map side is in pixels. Multiply-adds of one "
    "image, as the thesis counts; one multiply-add is two FLOPs. Biases and BN stand in the parameters only: at "
    "inference a BN folds into its convolution."
)


def unpruned(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """Table 3.4 for the author's whole network on cars."""
    specs = {row.family: ModelSpec.vgg(DEPTH, row.classes) for row in reference}
    others = "; ".join(f"{family} {total_cost(spec, SIDE).params:,}" for family, spec in sorted(specs.items()))
    title = f"The unpruned VGG-{DEPTH} BCNN for {EXAMPLE}, parameters and multiply-adds (thesis 3.4)"
    return _table("table-3.4", title, specs[EXAMPLE], f"Parameters of the three sets' networks: {others}.")


def pruned(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table:
    """The same for the published network of cars with the fewest parameters."""
    rows = [(row.params, row.spec, row) for row in reference if row.family == EXAMPLE and row.spec and row.params]
    params, spec, row = min(rows, key=lambda found: found[0])
    title = f"The smallest published network for {EXAMPLE}, parameters and multiply-adds (thesis 3.4)"
    note = (
        f"Thesis table {row.table}, {row.method}, {row.rate:.0%} of the channels cut. The author states {params:,} "
        f"parameters ({params / row.unpruned:.1%} of the unpruned network's) and {row.gmacs:g} G multiply-adds."
    )
    return _table("table-3.4-pruned", title, spec, note)


def written_out(spec: ModelSpec, side: int) -> list[Row]:
    """The lines of `cost_lines` in its order, each with the products that give its two numbers."""
    shapes = _shapes(spec, side)
    return [
        {"layer": name, **shapes[name], "params": cost.params, "macs": cost.macs}
        for name, cost in cost_lines(spec, side).items()
    ]


def _shapes(spec: ModelSpec, side: int) -> dict[str, dict[str, Cell]]:
    shapes: dict[str, dict[str, Cell]] = {}
    before = 3
    for layer, width in spec.width_of.items():
        shapes[layer] = {
            "kernel": "3×3",
            **_channels(before, width, side),
            "params_formula": f"3·3·{before}·{width} + {width}",
            "macs_formula": f"3·3·{before}·{width}·{side}·{side}",
        }
        shapes[layer.replace("conv", "bn")] = {**_channels(width, width, side), "params_formula": f"2·{width}"}
        before = width
        if layer in spec.pooled_layers:
            side //= 2
    shapes["pooling"] = {**_channels(before, spec.features, side), "macs_formula": f"{before}·{before}·{side}·{side}"}
    shapes["classifier"] = {
        **_channels(spec.features, spec.classes),
        "params_formula": f"{before}·{before}·{spec.classes} + {spec.classes}",
        "macs_formula": f"{before}·{before}·{spec.classes}",
    }
    return shapes


def _channels(before: int, after: int, side: int | None = None) -> dict[str, Cell]:
    return {"in_channels": before, "out_channels": after, "map_side": side}


def _table(name: str, title: str, spec: ModelSpec, note: str) -> Table:
    total = total_cost(spec, SIDE)
    last: Row = {"layer": "total", "params": total.params, "macs": total.macs}
    return Table(name, title, COLUMNS, (*written_out(spec, SIDE), last), (NOTE, note))
