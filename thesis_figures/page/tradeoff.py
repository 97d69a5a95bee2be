"""Accuracy of all methods over what their networks cost, and the training curves of the run that is clicked."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import altair as alt

from bcnn_prune.records import RunRecord
from thesis_figures.analysis.runs import set_of
from thesis_figures.analysis.tradeoffs import FLOW, Network, named, networks, points
from thesis_figures.figures import panels
from thesis_figures.figures.tradeoff import unpruned_levels
from thesis_figures.page.run import anchor
from thesis_figures.page.vega import DIGITS, Layers, Rows, beside, dots, independent, marked, panel

QUANTITIES: dict[str, Callable[[Network], float | None]] = {
    "parameters": lambda network: network.cost.params,
    "multiply-adds": lambda network: network.cost.macs,
    "bytes in fp32": lambda network: network.bytes,
    "CPU milliseconds": lambda network: network.ms,
}
"""What accuracy stands over, by the title of the axis."""
TOOLTIP: list[str | alt.Tooltip] = [
    "method:N",
    alt.Tooltip("cut:Q", format=".0%"),
    alt.Tooltip("accuracy:Q", format=".2%"),
    *(alt.Tooltip(f"{name}:Q", format=",.4~g") for name in QUANTITIES),
]
AXIS = alt.Axis(format="~s", tickCount=5)
OF = "datum.set === of"
HERE = f"{OF} && datum.comparison === methods && isValid(datum[axis])"


def data(records: Sequence[RunRecord]) -> dict[str, Rows]:
    """Rows of the charts by name: means over seeds, networks of single runs, unpruned levels, curves of training."""
    groups = named(points(records))
    runs = [
        {**_about(name, [network]), "seed": network.record.seed, "run": anchor(network.record)}
        for name, group in groups
        for network in group
    ]
    shown = {row["run"] for row in runs}
    trained, curves = _training({run: record for record in records if (run := anchor(record)) in shown})
    return {
        "means": [{**_about(name, group), "n": len(group)} for name, group in groups],
        "runs": runs,
        "levels": [level for label in sets_of(records) for level in _levels(label, records)],
        "trained": trained,
        "curves": curves,
    }


def sets_of(records: Sequence[RunRecord]) -> list[str]:
    """Labels of the data sets that have a pruned network, in alphabetical order."""
    return sorted({set_of(network.record) for record in records for network in networks(record)})


def chart(records: Sequence[RunRecord], first: str, rows: Mapping[str, Rows]) -> alt.ConcatChart:
    """The panels, and what they follow: set, comparison and quantity in drop-downs, and the run clicked last."""
    comparisons = list(dict.fromkeys(network.comparison for record in records for network in networks(record)))
    main = max(comparisons, key=lambda name: name == FLOW)
    chosen = [
        alt.param(name=name, value=value, bind=alt.binding_select(options=options, name=f"{label} "))
        for name, label, value, options in (
            ("of", "data set", first, sets_of(records)),
            ("comparison", "methods", main, comparisons),
            ("quantity", "over", next(iter(QUANTITIES)), list(QUANTITIES)),
        )
    ]
    shown = (network for record in records for network in networks(record))
    start = next(anchor(one.record) for one in shown if (set_of(one.record), one.comparison) == (first, main))
    clicked = alt.selection_point(name="clicked", fields=["run"], value=[{"run": start}], toggle=False, clear=False)
    lowest = alt.param(name="lowest", value=0, bind=alt.binding_range(min=0, max=95, step=5, name="accuracy from, % "))
    curves = _curve("val", "val accuracy", ".0%", clicked), _curve("loss", "training loss", "~g", clicked)
    return beside(_scatter(clicked), *curves).add_params(*chosen, lowest, *_shown(rows["means"]))


def _shown(means: Rows) -> list[alt.Parameter]:
    """The comparison and the quantity that were chosen, where the set has them; else its first ones."""
    known: dict[str, dict[str, list[str]]] = {}
    for row in means:
        found = known.setdefault(row["set"], {}).setdefault(row["comparison"], [])
        found += [name for name in QUANTITIES if name in row and name not in found]
    firsts = {label: next(iter(comparisons)) for label, comparisons in known.items()}
    has, instead = (json.dumps(value) for value in (known, firsts))
    methods = alt.param(name="methods", expr=f"({has})[of][comparison] ? comparison : ({instead})[of]")
    chosen = f"indexof(({has})[of][methods], quantity) >= 0"
    return [methods, alt.param(name="axis", expr=f"{chosen} ? quantity : '{next(iter(QUANTITIES))}'")]


def _about(name: str, group: Sequence[Network]) -> dict[str, Any]:
    """Method by its name, cut, accuracy with its interval, and quantities, each as the mean over runs."""
    accuracy = panels.accuracy([network.tested for network in group])
    values = {name: [of(network) for network in group] for name, of in QUANTITIES.items()}
    return {
        "set": set_of(group[0].record),
        "comparison": group[0].comparison,
        "method": name,
        "cut": fmean(network.cut for network in group),
        "accuracy": round(accuracy.mean, DIGITS),
        "low": round(accuracy.mean - (accuracy.deviation or 0), DIGITS),
        "high": round(accuracy.mean + (accuracy.deviation or 0), DIGITS),
        **{name: fmean(known) for name, all_ in values.items() if (known := [v for v in all_ if v is not None])},
    }


def _levels(label: str, records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    levels = unpruned_levels([record for record in records if set_of(record) == label])
    return [{"set": label, "name": name, "accuracy": round(level.mean, DIGITS)} for name, level in levels.items()]


def _training(records: Mapping[str, RunRecord]) -> tuple[Rows, Rows]:
    """The phases of each run, given by its anchor, in the order of training, by number; and of each phase, by its
    number, val accuracy and loss by epoch. A phase that runs share stands once."""
    numbers: dict[tuple[Any, ...], int] = {}
    trained = [
        {"run": run, "curve": [numbers.setdefault(curve, len(numbers)) for curve in _curves(record)]}
        for run, record in records.items()
    ]
    curves = [
        {"curve": number, "phase": phase, "val": val, "loss": loss} for (phase, val, loss), number in numbers.items()
    ]
    return trained, curves


def _curves(record: RunRecord) -> Iterator[tuple[str, tuple[float, ...], tuple[float, ...]]]:
    """Each phase of a run, in the order of training: its name, val accuracy and loss by epoch."""
    phases = {**record.training, **{f"fine-tuning {i}": step.fine_tuning for i, step in enumerate(record.steps, 1)}}
    for phase, history in phases.items():
        if history:
            epochs = history.epochs
            yield (
                phase,
                tuple(round(epoch.val.accuracy, 4) for epoch in epochs),
                tuple(float(f"{epoch.loss:.3g}") for epoch in epochs),
            )


def _scatter(clicked: alt.Parameter) -> Layers:
    x = alt.X("x:Q", title="=axis", scale=alt.Scale(type="log", nice=False, padding=12), axis=AXIS)
    scale = alt.Scale(domainMin=alt.expr("lowest / 100"), nice=False, padding=4)
    y = alt.Y("accuracy:Q", title="test accuracy", axis=alt.Axis(format="%"), scale=scale)

    def of(name: str, *fields: str) -> alt.Chart:
        rows = alt.Chart(alt.NamedData(name)).transform_filter(HERE).transform_calculate(x="datum[axis]")
        return rows.encode(x=x, y=y, tooltip=[*TOOLTIP, *fields])

    means = of("means", "n:Q")
    bars = means.mark_rule(clip=True).encode(y="low:Q", y2="high:Q")
    runs = of("runs", "seed:Q").transform_calculate(href="'#' + datum.run")
    single = dots(runs, "method").encode(href="href:N").add_params(clicked)
    levels = alt.Chart(alt.NamedData("levels")).transform_filter(OF).encode(y=y)
    level = levels.mark_rule(clip=True).encode(strokeDash=alt.StrokeDash("name:N", legend=None))
    side = alt.expr("datum.name === 'dense' ? 'top' : 'bottom'")
    text = levels.mark_text(align="left", baseline=side, dx=2, clip=True).encode(x=alt.value(0), text="name:N")
    layers = independent(bars, *marked(means.encode(order="cut:Q"), "method", size=90), single, level, text)
    return panel(layers, "=methods + ': small points are single runs, click one'", height=380)


def _curve(field: str, title: str, form: str, clicked: alt.Parameter) -> Layers:
    """A quantity of the clicked run by epoch, all phases one behind the other."""
    rows = (
        alt.Chart(alt.NamedData("trained"))
        .transform_filter(clicked)
        .transform_flatten(["curve"])
        .transform_lookup("curve", alt.LookupData(alt.NamedData("curves"), "curve", ["phase", field]))
        .transform_flatten([field])
        .transform_window(epoch="row_number()")
        .encode(
            x=alt.X("epoch:Q", title="epoch, all phases one behind the other", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y(f"{field}:Q", title=title, axis=alt.Axis(format=form)),
        )
    )
    return panel(independent(*marked(rows, "phase", size=25)), f"='{title}, ' + clicked.run[0]")
