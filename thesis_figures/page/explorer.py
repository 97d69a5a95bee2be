"""γ of a sparse network under a slider: what a cut takes, what it leaves, and the accuracy that runs measured."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise, product
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from bcnn_prune.evaluation.by_class import wilson_interval
from bcnn_prune.records import RunRecord
from thesis_figures import style
from thesis_figures.analysis.runs import set_of
from thesis_figures.analysis.scale_cuts import ScaleCut, SparseNetwork
from thesis_figures.figures.gamma import BINS, reach
from thesis_figures.page.vega import DIGITS, Layers, Rows, beside, independent, marked, panel

STAGES = {
    "rebuilt": "right after the cut",
    "recalibrated": "BN recomputed",
    "fine_tuned": "fine-tuned",
}
"""Stages of PruneStep by their label."""
NEVER = 100
"""Per cent in place of the cut that a channel goes by, for one that stays at every cut."""
FIRST = 40
"""Per cent that the slider starts at."""
CHOICE, HERE = "(of + '|' + seed + '|' + penalty)", "datum.k === key"
TICKS = alt.Axis(tickCount=5)
COLUMNS = {
    "k": "network",
    "c": "cut_percent",
    "t": "threshold",
    "n": "channels",
    "p": "params",
    "m": "macs",
    "b": "bytes",
    "w": "widths",
    "near": "measured_at_percent",
}
"""Fields of a cut, as a file names them."""
FIELDS = [*(field for field in COLUMNS if field != "k"), *STAGES]
"""Fields of a cut that are lists in the row of its network."""
NUMBERS = {
    "network": "split(datum.k, '|')[0] + ', seed ' + split(datum.k, '|')[1]",
    "cut of all channels": "datum.c + ' %'",
    "threshold of |γ|": "format(datum.t, '.4g')",
    "channels left": "format(datum.n, ',') + ' of ' + format(datum.channels, ',')",
    "parameters": "format(datum.p, ',') + ' (' + format(datum.p / datum.params, '.1%') + ')'",
    "multiply-adds": "format(datum.m, ',') + ' (' + format(datum.m / datum.macs, '.1%') + ')'",
    "bytes in fp32": "format(datum.b, ',')",
    "L1 penalty λ": "datum.penalty",
    "accuracy, sparse network": "format(datum.sparse, '.2%')",
    **{
        label: f"datum.{stage} == null ? 'not measured' : format(datum.{stage}, '.2%') + ' at ' + datum.near + ' %'"
        for stage, label in STAGES.items()
    },
}
"""Expressions of Vega for the numbers at the slider's cut, by their label."""


def data(networks: Iterable[SparseNetwork]) -> dict[str, Rows]:
    """Rows of the charts by name: k is a network's set, seed and penalty, c a cut in per cent of all channels.

    A network's cuts are one row, with a list for each field: as rows of their own they would fill a third of a page."""
    rows: dict[str, list[dict[str, Any]]] = {"networks": [], "channels": [], "cuts": [], "tested": []}
    for network in networks:
        cuts, key = list(network.cuts()), {"k": "|".join(parts(network))}
        scales = np.concatenate([np.asarray(values) for values in network.record.scales.values()])
        rows["networks"].append({**key, **_about(network), "reach": reach(scales)})
        rows["channels"].append(
            {**key, "g": [float(f"{value:.4g}") for value in scales.tolist()], "c": gone_at(network, cuts)}
        )
        of_cuts = [numbers(cut, nearest(cut, cuts)) for cut in cuts]
        rows["cuts"].append({**key, **{field: [of_cut[field] for of_cut in of_cuts] for field in FIELDS}})
        rows["tested"] += [{**key, **tested} for cut in cuts for tested in _tested(cut)]
    return dict(rows)


def parts(network: SparseNetwork) -> tuple[str, str, str]:
    """Data set, seed and penalty, which are chosen one by one."""
    return set_of(network.record), str(network.record.seed), network.penalty


def instead_of(networks: Sequence[SparseNetwork]) -> dict[str, str]:
    """For each choice that names no network, the first of the same set, with the same penalty where there is one."""
    known = [parts(network) for network in networks]
    columns = [list(dict.fromkeys(column)) for column in zip(*known, strict=True)]
    instead = {}
    for choice in product(*columns):
        if choice not in known:
            same = [network for network in known if network[0] == choice[0]]
            instead["|".join(choice)] = "|".join(next((one for one in same if one[2] == choice[2]), same[0]))
    return instead


def gone_at(network: SparseNetwork, cuts: Sequence[ScaleCut]) -> list[int]:
    """The smallest cut that takes each channel, in per cent: those of larger cuts take it, too, since cuts nest."""
    first = {layer: [NEVER] * len(values) for layer, values in network.record.scales.items()}
    for before, cut in pairwise(cuts):
        for layer, percents in first.items():
            for channel in set(before.plan.kept[layer]) - set(cut.plan.kept[layer]):
                percents[channel] = cut.percent
    return [percent for percents in first.values() for percent in percents]


def nearest(cut: ScaleCut, cuts: Sequence[ScaleCut]) -> ScaleCut | None:
    """The measured cut whose share is the nearest; None where none was measured."""
    measured = [other for other in cuts if other.tested]
    return min(measured, key=lambda other: abs(other.percent - cut.percent), default=None)


def numbers(cut: ScaleCut, near: ScaleCut | None) -> dict[str, Any]:
    """What is left after a cut, with the accuracies of the nearest one that was measured."""
    at = {} if near is None else near.tested
    tested = {stage: round(at[stage].accuracy, DIGITS) if stage in at else None for stage in STAGES}
    return {
        "c": cut.percent,
        "t": float(f"{cut.threshold:.6g}"),
        "n": cut.spec.channels,
        "p": cut.cost.params,
        "m": cut.cost.macs,
        "b": cut.file_bytes,
        "w": list(cut.spec.widths),
        "near": near and near.percent,
        **tested,
    }


def scales(networks: Sequence[SparseNetwork]) -> pd.DataFrame:
    """|γ| of each channel: a row per layer and channel, a column per network."""
    columns = {
        " | ".join(parts(network)): pd.Series({(layer, i): value for layer, i, value in _scales(network.record)})
        for network in networks
    }
    return pd.DataFrame(columns).rename_axis(["layer", "channel"]).reset_index()


def table(rows: Mapping[str, Rows]) -> pd.DataFrame:
    """The cuts of each network, the widths as one text."""
    cuts = pd.DataFrame(rows["cuts"]).explode(FIELDS).infer_objects().rename(columns=COLUMNS)
    return cuts.assign(widths=cuts["widths"].map(lambda widths: "-".join(map(str, widths))))


def chart(networks: Sequence[SparseNetwork], first: str, rows: Mapping[str, Rows]) -> alt.ConcatChart:
    """The panels, and what they follow: set, seed and penalty in drop-downs, and the share to cut on a slider."""
    names, seeds, penalties = (list(dict.fromkeys(part)) for part in zip(*map(parts, networks), strict=True))
    start = max(networks, key=lambda network: set_of(network.record) == first)
    chosen = [
        alt.param(name=name, value=value, bind=alt.binding_select(options=options, name=f"{label} "))
        for name, label, value, options in zip(
            ("of", "seed", "penalty"),
            ("data set", "seed", "L1 penalty"),
            parts(start),
            (names, sorted(seeds), penalties),
            strict=True,
        )
    ]
    largest = min(row["c"][-1] for row in rows["cuts"])  # of every network: the slider always has a cut
    slider = alt.binding_range(min=0, max=largest, step=1, name="channels to cut, % ")
    cut = alt.param(name="cut", value=FIRST, bind=slider)
    key = alt.param(name="key", expr=f"({json.dumps(instead_of(networks))})[{CHOICE}] || {CHOICE}")
    panels = (_numbers(), _histogram(), _cumulative(), _widths(), _accuracy())
    return beside(*panels).add_params(*chosen, cut, key)


def _scales(record: RunRecord) -> Iterator[tuple[str, int, float]]:
    for layer, values in record.scales.items():
        for i, value in enumerate(values):
            yield layer, i, value


def _about(network: SparseNetwork) -> dict[str, Any]:
    record = network.record
    recipe, sparse = record.recipes["sparse"], record.test["sparse"]
    last = "" if recipe.last_sparsity == recipe.sparsity else f"; last layer {recipe.last_sparsity:g}"
    return {
        "layers": list(record.spec.layers),
        "all": list(record.spec.widths),
        "channels": record.spec.channels,
        "params": record.cost.params,
        "macs": record.cost.macs,
        "penalty": f"{recipe.sparsity:g}{last}",
        "sparse": sparse.accuracy,
    }


def _tested(cut: ScaleCut) -> list[dict[str, Any]]:
    found = [(label, cut.tested[stage]) for stage, label in STAGES.items() if stage in cut.tested]
    return [
        {
            "c": cut.percent,
            "stage": label,
            "accuracy": round(counts.accuracy, DIGITS),
            "low": round(low, DIGITS),
            "high": round(high, DIGITS),
        }
        for label, counts in found
        for low, high in [wilson_interval(counts)]
    ]


def _rows(name: str, *fields: str) -> alt.Chart:
    """Rows of the chosen network, with these fields of it."""
    rows = alt.Chart(alt.NamedData(name)).transform_filter(HERE)
    return rows.transform_lookup("k", alt.LookupData(alt.NamedData("networks"), "k", [*fields])) if fields else rows


def _now(*fields: str) -> alt.Chart:
    """The slider's cut."""
    return _rows("cuts", *fields).transform_flatten([*FIELDS]).transform_filter("datum.c === cut")


def _numbers() -> Layers:
    lines = ", ".join(f"{{label: '{label}', value: {value}}}" for label, value in NUMBERS.items())
    rows = (
        _now("channels", "params", "macs", "penalty", "sparse")
        .transform_calculate(line=f"[{lines}]")
        .transform_flatten(["line"])
        .transform_calculate(label="datum.line.label", value="datum.line.value")
        .transform_window(row="row_number()")
        .encode(y=alt.Y("row:O", axis=None))
    )
    label = rows.mark_text(align="left", fontSize=13).encode(x=alt.value(0), text="label:N")
    value = rows.mark_text(align="right", fontSize=13, fontWeight="bold").encode(x=alt.value("width"), text="value:N")
    return panel(alt.layer(label, value), "What is left")


def _histogram() -> Layers:
    bars = (
        _rows("channels", "reach")
        .transform_flatten(["g", "c"])
        .transform_calculate(
            bin=f"min(floor(datum.g / datum.reach * {BINS}), {BINS - 1})",
            low=f"datum.bin / {BINS} * datum.reach",
            high=f"(datum.bin + 1) / {BINS} * datum.reach",
            goes="datum.c <= cut ? 'cut' : 'kept'",
        )
        .transform_aggregate(count="count()", groupby=["low", "high", "goes"])
        .mark_bar(stroke=style.BLACK, strokeWidth=0.4)
        .encode(
            x=alt.X("low:Q", bin="binned", title="|γ|; the last bar also has all that are larger", axis=TICKS),
            x2="high:Q",
            y=alt.Y("count:Q", title="channels"),
            color=alt.Color(
                "goes:N", title=None, scale=alt.Scale(domain=["cut", "kept"], range=[style.BLACK, "#c8dcea"])
            ),
            order=alt.Order("goes:N"),
        )
    )
    return panel(alt.layer(bars, _threshold()), "Histogram of |γ|")


def _threshold() -> alt.Chart:
    rule: alt.Chart = _now().mark_rule(color=style.ORANGE, strokeWidth=2, strokeDash=[6, 3]).encode(x="t:Q")
    return rule


def _cumulative() -> Layers:
    line = (
        _rows("channels", "reach")
        .transform_flatten(["g", "c"])
        .transform_window(rank="row_number()", sort=[alt.SortField("g")])
        .transform_joinaggregate(all="count()")
        .transform_calculate(share="100 * datum.rank / datum.all")
        .transform_filter("datum.g <= datum.reach")
        .mark_line(interpolate="step-after", color=style.BLUE)
        .encode(
            x=alt.X("g:Q", title="|γ|", axis=TICKS),
            y=alt.Y("share:Q", title="channels up to |γ|, %", scale=alt.Scale(domain=[0, 100])),
        )
    )
    level = _now().mark_rule(color=style.ORANGE, strokeDash=[6, 3]).encode(y="c:Q")
    return panel(alt.layer(line, _threshold(), level), "Cumulative distribution of |γ|")


def _widths() -> Layers:
    rows = _now("layers", "all").transform_flatten(["w", "layers", "all"])
    place = rows.encode(x=alt.X("layers:N", sort=None, title=None, axis=alt.Axis(labelAngle=-60)))
    whole = place.mark_bar(fill=None, stroke=style.BLACK).encode(y=alt.Y("all:Q", title="channels"))
    left = place.mark_bar(color=style.BLUE).encode(y="w:Q", tooltip=["layers:N", "w:Q", "all:Q"])
    text = place.mark_text(dy=-6, fontSize=10).encode(y="w:Q", text="w:Q")
    return panel(alt.layer(left, whole, text), "Widths: kept, in the outline of all")


def _accuracy() -> Layers:
    rows = _rows("tested").encode(
        x=alt.X("c:Q", title="channels cut, %", scale=alt.Scale(domain=[0, 100])),
        y=alt.Y("accuracy:Q", title="test accuracy", axis=alt.Axis(format="%")),
        tooltip=["stage:N", "c:Q", alt.Tooltip("accuracy:Q", format=".2%")],
    )
    bars = rows.mark_rule().encode(y="low:Q", y2="high:Q")
    now = _now().mark_rule(color=style.BLACK, strokeDash=[6, 3]).encode(x="c:Q")
    stages = marked(rows, "stage")
    return panel(independent(bars, *stages, now), "Accuracy at the cuts that were measured")
