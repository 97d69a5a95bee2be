"""Ways to select channels at equal cost: accuracy over the cost, and the widths that each way leaves."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import norm

from bcnn_prune.records import ComparedNetwork
from bcnn_prune.records.file_latency import FileTimes
from thesis_figures import style
from thesis_figures.analysis import variants
from thesis_figures.analysis.equal_cost import (
    AS_LONG,
    SELECTIONS,
    Comparison,
    Limited,
    Tuning,
    Way,
    by_tuning,
    common_tunings,
    networks_in,
    t_half_width,
    widest,
)
from thesis_figures.analysis.runs import Spread, known_first
from thesis_figures.analysis.sets import Sets
from thesis_figures.figures import panels

GROUPS: dict[str, tuple[str, ...]] = {
    "|γ|, by rule": ("mean", "thesis", "raw", "rms", "lamp", "rank"),
    "criteria": ("mean", "filter-norm", "taylor", "fisher", "fisher-head"),
    "allocation": ("mean", "mean-exact", "lamp-exact", "fisher-exact", "sensitivity", "rank"),
    "weights or widths": ("mean", "random-in-widths", "rank", "random", "uniform"),
}
"""Rows of panels, and the ways that each compares."""
SAME_WIDTHS, DISTILLED = "weights or widths", "distillation"
"""Rows whose other ways take the widths of `mean` or `rank`; one has ways with and without distillation."""
INTERVAL = "95 % by t over seeds; of two their range, of one by its count of images"
WIDE = float(norm.ppf(0.975))
"""Standard errors on either side of 95 %."""
HEIGHT = 1.8
"""Inches of a row."""
Rows = Mapping[str, Sequence[Way]]


@dataclass(frozen=True)
class Quantity:
    """A quantity of the x axis."""

    name: str
    of: Callable[[Comparison, Sequence[ComparedNetwork]], list[float]]
    """Of the networks of a comparison for which it is known."""


QUANTITIES = {
    "multiply-adds": Quantity("million multiply-adds", lambda _, networks: [one.cost.macs / 1e6 for one in networks]),
    "parameters": Quantity("million parameters", lambda _, networks: [one.cost.params / 1e6 for one in networks]),
}


def cpu_time(files: FileTimes) -> Quantity:
    """Of the networks' files."""
    name = f"ms in {variants.label(files.runtime)}"
    return Quantity(name, lambda comparison, networks: comparison.milliseconds((one.spec for one in networks), files))


def draw(shown: Sets, quantity: Quantity) -> Figure:
    """A column for each set, a row for each group of ways, a line for each way over its budgets. The dense network that
    trained as long is a band."""
    found = [widest(records) for records in shown.values()]
    budgets = {budget for comparison in found for budget in comparison.budgets}
    rows = _rows(found, budgets)
    figure, columns = panels.columns(shown, HEIGHT * len(rows) + 0.6, len(rows), sharex="col", sharey="col")
    for comparison, column in zip(found, columns, strict=True):
        for ax, ways in zip(column, rows.values(), strict=True):
            for i, way in enumerate(ways):
                _curve(ax, comparison, way, quantity, panels.look(i))
            if as_long := list(comparison.seeds(AS_LONG).values()):
                panels.level(ax, accuracy(as_long), (0, (6, 3)), "dense, as long")
        column[0].set_ylim(0, min(1, column[0].get_ylim()[1]))
        panels.percent(column[0])
        column[-1].xaxis.set_major_locator(MaxNLocator(4))
        column[-1].set_xlabel(quantity.name, fontsize=8)
    return _finished(figure, shown, found, budgets, columns, rows, "test accuracy", INTERVAL)


def at_budget(shown: Sets, budget: float, limited: Limited = "multiply-adds") -> Figure:
    """A panel for each set, a row for each way at one budget of a kind: accuracy of each seed and their mean, by epochs
    and rate of fine-tuning, of those that most sets had. The best way by the one that most ways had is on top."""
    all_of = {label: by_tuning(records, budget, limited) for label, records in shown.items()}
    tunings = common_tunings(all_of.values())
    found = {label: {tuning: one for tuning, one in all_of[label].items() if tuning in tunings} for label in all_of}
    order = _order(found.values(), budget)
    figure, columns = panels.columns(shown, (0.17 + 0.07 * len(tunings)) * len(order) + 1.3, sharey=True)
    for (label, compared), (ax,) in zip(found.items(), columns, strict=True):
        for comparison in compared.values():
            _marks(ax, comparison, budget, order, tunings)
        ax.set_yticks(range(len(order)), [way.label for way in order])
        ax.set_ylim(-0.5, len(order) - 0.5)
        ax.set_xlim(0, min(1, ax.get_xlim()[1]))
        panels.percent(ax, "x")
        panels.title(ax, label, _seeds(compared.values(), order))
    panels.legend(figure, 2, f"test accuracy at {100 * budget:g} % of the {limited}; bars and bands: {INTERVAL}")
    return figure


def _order(found: Iterable[Mapping[Tuning, Comparison]], budget: float) -> list[Way]:
    """The ways at a budget from the lowest accuracy to the highest, as means over sets after the fine-tuning that most
    ways had. Ways that had others alone, or that fewer sets have, come first: their means are of something else."""
    accuracies: dict[Tuning, dict[Way, list[float]]] = {}
    for compared in found:
        for tuning, comparison in compared.items():
            for way, networks in comparison.networks.items():
                if way.budget == budget:
                    means = accuracies.setdefault(tuning, {}).setdefault(way, [])
                    means.append(accuracy(list(networks.values())).mean)
    most = max(accuracies.values(), key=len)
    sets = max(map(len, most.values()))
    alike = {way: means for way, means in most.items() if len(means) == sets}
    others = {way: means for ways in accuracies.values() for way, means in ways.items() if way not in alike}
    return [*_ascending(others), *_ascending(alike)]


def _ascending(accuracies: Mapping[Way, Sequence[float]]) -> list[Way]:
    return sorted(accuracies, key=lambda way: fmean(accuracies[way]))


def _marks(ax: Axes, comparison: Comparison, budget: float, order: Sequence[Way], tunings: Sequence[Tuning]) -> None:
    """The accuracies of one comparison: each row has a place for every fine-tuning, the shortest on top."""
    i = tunings.index(comparison.tuning)
    look = panels.look(i)
    for row, way in enumerate(order):
        if run := list(comparison.networks.get(way, {}).values()):
            at = row + 0.5 - (i + 1) / (len(tunings) + 1)
            seeds = [network.test.accuracy for network in run]
            panels.curve(ax, [accuracy(run)], [Spread(at, None, 1)], look, _manner(comparison))
            ax.plot(seeds, [at] * len(seeds), "|", color=style.BLACK, label="a seed")
    if as_long := list(comparison.seeds(AS_LONG).values()):
        total = comparison.record.recipes[AS_LONG].epochs
        label = f"dense, trained as long: {total} epochs"
        panels.level(ax, accuracy(as_long), (0, (6, 3)), label, look.colour, upright=True)


def _manner(comparison: Comparison) -> str:
    return "fine-tuned for {} epochs, rate {:g}".format(*comparison.tuning)


def allocation(shown: Sets, budget: float) -> Figure:
    """The share of each layer's channels that each way keeps at a budget, mean over seeds."""
    found = [max(by_tuning(records, budget).values(), key=networks_in) for records in shown.values()]
    rows = _rows(found, [budget], without=(SAME_WIDTHS, DISTILLED))
    figure, columns = panels.columns(shown, HEIGHT * len(rows) + 0.8, len(rows), sharex="col", sharey=True)
    for comparison, column in zip(found, columns, strict=True):
        whole = comparison.record.spec
        for ax, ways in zip(column, rows.values(), strict=True):
            for i, way in enumerate(ways):
                if networks := comparison.seeds(way.name, budget, way.distilled).values():
                    kept = [[a / b for a, b in zip(one.spec.widths, whole.widths, strict=True)] for one in networks]
                    at = [Spread(float(layer), None, 1) for layer in range(len(whole.layers))]
                    panels.curve(ax, at, panels.spreads(kept), panels.look(i), way.label)
        column[0].set_ylim(0, 1.04)
        panels.percent(column[0])
        every = 1 if len(shown) < 4 else 2
        column[-1].set_xticks(range(0, len(whole.layers), every), whole.layers[::every])
        column[-1].tick_params(axis="x", labelrotation=90)
    quantity = f"channels that stay at {100 * budget:g} %"
    return _finished(figure, shown, found, {budget}, columns, rows, quantity, "± 1 standard deviation")


def _rows(found: Sequence[Comparison], budgets: Collection[float], without: Collection[str] = ()) -> Rows:
    """Groups of ways of which at least two were run at these budgets, with those of distillation and those that no
    group names; no group that an earlier one holds, and none of those `without`. Where none is left, all ways."""
    held = {replace(way, budget=0) for comparison in found for way in comparison.networks if way.budget in budgets}
    names = known_first((way.name for way in held), SELECTIONS)
    taught = [way.name for way in held if way.distilled]
    others = [name for name in names if not any(name in group for group in GROUPS.values())]
    rows = {title: [Way(0, name) for name in group if name in names] for title, group in GROUPS.items()}
    rows[DISTILLED] = [Way(0, name, told) for name in names if name in taught for told in (False, True)]
    rows["others"] = [Way(0, "mean"), *(Way(0, name) for name in others)] if others else []
    shown: dict[str, list[Way]] = {}
    for title, ways in rows.items():
        run = [way for way in ways if way in held]
        if len(run) > 1 and title not in without and not any(set(run) <= set(before) for before in shown.values()):
            shown[title] = run
    return shown or {"": sorted(held, key=lambda way: way.place)}


def _curve(ax: Axes, comparison: Comparison, way: Way, quantity: Quantity, look: panels.Look) -> None:
    by_budget = [comparison.seeds(way.name, budget, way.distilled) for budget in comparison.budgets]
    run = [list(networks.values()) for networks in by_budget if networks]
    known = [(networks, costs) for networks in run if (costs := quantity.of(comparison, networks))]
    if known:
        x = [Spread(fmean(costs), None, 1) for _, costs in known]
        panels.curve(ax, x, [accuracy(networks) for networks, _ in known], look, way.label)


def accuracy(networks: Sequence[ComparedNetwork]) -> Spread:
    """Mean and half of its 95 % interval: by Student's t over seeds; of one seed, by its counts. Of two seeds, whose t
    interval would be twelve times as wide as they are apart and hide all else, half of their range."""
    tested = [network.test for network in networks]
    spread = panels.accuracy(tested)
    if spread.n == 2:
        return replace(spread, deviation=abs(tested[0].accuracy - tested[1].accuracy) / 2)
    half = WIDE * spread.deviation if spread.n == 1 and spread.deviation is not None else t_half_width(spread)
    return replace(spread, deviation=half)


def _seeds(found: Iterable[Comparison], drawn: Collection[Way]) -> set[int]:
    """How many seeds the networks have that are drawn."""
    return {len(run) for comparison in found for way, run in comparison.networks.items() if way in drawn}


def _finished(
    figure: Figure,
    shown: Sets,
    found: Sequence[Comparison],
    budgets: Collection[float],
    columns: list[list[Axes]],
    rows: Rows,
    quantity: str,
    bars: str,
) -> Figure:
    """Titles, with the seeds of what is drawn, and a legend at the right of each row."""
    drawn = {replace(way, budget=budget) for ways in rows.values() for way in ways for budget in budgets}
    for label, comparison, column in zip(shown, found, columns, strict=True):
        panels.title(column[0], label, _seeds([comparison], drawn))
    for i, title in enumerate(rows):
        columns[0][i].set_ylabel(f"{title}\n{quantity}" if title else quantity, fontsize=panels.SMALL)
        panels.row_legend([column[i] for column in columns])
    manners = " or ".join(dict.fromkeys(map(_manner, found)))
    caption = f"{manners}; mean over seeds; bars and bands: {bars}"
    figure.supxlabel(panels.folded(figure, caption), fontsize=panels.SMALL)
    return figure
