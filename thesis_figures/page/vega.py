"""Vega-Lite charts as Vega that fits the width of its place, phones included."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import vl_convert as vlc

from thesis_figures import style

Rows = Sequence[Mapping[str, Any]]
Layers = alt.LayerChart | alt.FacetChart
"""What Altair declares for layers."""
VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
DIGITS = 6
"""Of an accuracy: they tell one image of a million from none, and keep the page small."""
PLACE = "containerSize()[0]"
"""Pixels that the page gives to a chart, an expression of Vega."""
NARROW, PANEL, LEAST, HEIGHT, AXIS = 760, 420, 200, 230, 75
"""Pixels: a place below which panels stand one below the other, the widest and the narrowest panel, its
height, and what its axis takes."""
LOOKS = (
    (style.BLUE, "circle", [1, 0]),
    (style.ORANGE, "square", [6, 3]),
    (style.GREEN, "triangle-up", [2, 2]),
    (style.PURPLE, "diamond", [8, 3, 2, 3]),
    (style.BLACK, "triangle-down", [10, 2]),
    (style.SKY, "cross", [4, 6]),
    (style.GREY, "triangle-left", [1, 4]),
)
ALONE: dict[str, Any] = dict.fromkeys(("color", "shape", "strokeDash"), "independent")
CONFIG = {
    "font": "system-ui, sans-serif",
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "gridColor": "#dddddd"},
    "legend": {"labelFontSize": 12, "titleFontSize": 12, "labelLimit": 400, "orient": "bottom", "columns": 1},
    "title": {"fontSize": 14, "anchor": "start"},
    "view": {"stroke": None},
}


def panel(chart: Layers, title: str, height: int = HEIGHT) -> Layers:
    """`chart` in the size and under the title of a panel."""
    return chart.properties(width=PANEL, height=height, title=title)


def marked(rows: alt.Chart, field: str, size: int = 60) -> list[alt.Chart]:
    """Lines and points of `rows`, whose values of `field` colour, shape and dashes tell apart, each of them alone.

    The legend is that of the points; scales of the layers must be independent, else Vega-Lite draws one a channel."""
    lines = rows.mark_line(clip=True).encode(**_looks(field, "color", "strokeDash", legend=False))
    return [
        lines,
        rows.mark_point(filled=True, clip=True, opacity=1, size=size).encode(**_looks(field, "color", "shape")),
    ]


def dots(rows: alt.Chart, field: str) -> alt.Chart:
    """Paler and smaller points of the same looks, without a legend."""
    points = rows.mark_point(filled=True, clip=True, size=40, opacity=0.45, cursor="pointer")
    encoded: alt.Chart = points.encode(**_looks(field, "color", "shape", legend=False))
    return encoded


def _looks(field: str, *channels: str, legend: bool = True) -> dict[str, Any]:
    values = dict(zip(("color", "shape", "strokeDash"), map(list, zip(*LOOKS, strict=True)), strict=True))
    kinds = {"color": alt.Color, "shape": alt.Shape, "strokeDash": alt.StrokeDash}
    hidden: dict[str, Any] = {} if legend else {"legend": None}
    return {
        channel: kinds[channel](f"{field}:N", title=None, scale=alt.Scale(range=values[channel]), **hidden)
        for channel in channels
    }


def independent(*layers: alt.Chart) -> Layers:
    """One upon the other, with looks of their own."""
    layered: Layers = alt.layer(*layers).resolve_scale(**ALONE)
    return layered


def beside(*panels: Layers) -> alt.ConcatChart:
    """Panels one beside the other, with looks of their own."""
    grid: alt.ConcatChart = alt.concat(*panels, columns=2).resolve_scale(**ALONE)
    return grid


def compiled(chart: alt.ConcatChart, data: Mapping[str, Rows], described: str) -> dict[str, Any]:
    """The Vega specification of panels over `data` by name: in two columns where the page has room, else in one.

    Screen readers say `described`."""
    spec = {
        **chart.to_dict(),
        "description": described,
        "config": CONFIG,
        "datasets": {name: list(rows) for name, rows in data.items()},
    }
    vega: dict[str, Any] = vlc.vegalite_to_vega(json.dumps(spec), vl_version=VEGA_LITE)
    columns = f"({PLACE} < {NARROW} ? 1 : 2)"
    vega = _with_signals(vega)
    vega["layout"]["columns"] = {"signal": "columns"}
    for signal in [signal for signal in vega["signals"] if signal["name"].endswith("idth")]:
        assert signal.pop("value") == PANEL
        signal |= _followed(f"clamp({PLACE} / {columns} - {AXIS}, {LEAST}, {PANEL})")
    vega["signals"].insert(0, {"name": "columns", **_followed(columns)})
    return vega


def _with_signals(value: Any) -> Any:
    """The specification with a signal in place of every text "=expression", which Vega-Lite has no way to say."""
    match value:
        case dict():
            return {key: _with_signals(part) for key, part in value.items()}
        case list():
            return [_with_signals(part) for part in value]
        case str() if value.startswith("="):
            return {"signal": value[1:]}
    return value


def _followed(expression: str) -> dict[str, Any]:
    """The part of a signal that computes it anew with every size of the window."""
    return {"init": expression, "on": [{"events": {"source": "window", "type": "resize"}, "update": expression}]}
