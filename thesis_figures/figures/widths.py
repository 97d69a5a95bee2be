"""Channels kept by layer: the share of each layer that a cut keeps, by the share of all channels that it removes."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bcnn_prune.records import RunRecord
from thesis_figures import style
from thesis_figures.analysis import sets
from thesis_figures.analysis.runs import Runs, Spread, share_cut
from thesis_figures.figures import panels

ROWS = {False: "one-shot", True: "one-shot,\nheavier last penalty"}


def draw(shown: sets.Sets) -> Figure:
    """A column a set; below, where there are such runs, with a heavier penalty on the last layer."""
    rows = [heavier for heavier in ROWS if any(sets.of(r, "oneshot", heavier=heavier) for r in shown.values())]
    several, hollow = False, False
    figure, columns = panels.columns(shown, 1.4 + 1.9 * len(rows), rows=len(rows), sharex="col", sharey=True)
    rates = sorted({share_cut(r) for records in shown.values() for r in records if r.experiment == "oneshot"})
    for (label, records), column in zip(shown.items(), columns, strict=True):
        counts = set()
        for ax, heavier in zip(column, rows, strict=True):
            for runs in sets.of(records, "oneshot", heavier=heavier):
                rate = share_cut(runs[0])
                shift = 0.14 * (rates.index(rate) - (len(rates) - 1) / 2)
                _layers(ax, runs, panels.look(rates.index(rate)), f"{style.share(rate)} of all channels cut", shift)
                counts.add(len(runs))
                several, hollow = several or len(runs) > 1, hollow or among_zeros(runs)
        panels.title(column[0], label, counts)
        column[-1].tick_params(axis="x", labelrotation=90)
    for ax, heavier in zip(columns[0], rows, strict=True):
        ax.set_ylim(0, 1.04)
        panels.percent(ax)
        ax.set_ylabel(f"{ROWS[heavier]}\nchannels that stay", fontsize=8)
    heading = ["mean ± 1 standard deviation over seeds, of each layer's channels"] if several else []
    heading += ["open: all that goes has γ = 0 exactly, the deepest layers' first"] if hollow else []
    panels.legend(figure, 4, "; ".join(heading))
    return figure


def kept(runs: Runs) -> list[Spread]:
    """The share of each layer's channels that stay after the last cut, over seeds."""
    return panels.spreads([_kept(record) for record in runs])


def among_zeros(runs: Runs) -> bool:
    """True where the cut of every run removed only scales of exactly zero: the order of layers breaks ties."""
    return all(record.steps[-1].threshold == 0 for record in runs)


def _kept(record: RunRecord) -> list[float]:
    return [after / before for after, before in zip(record.steps[-1].spec.widths, record.spec.widths, strict=True)]


def _layers(ax: Axes, runs: Runs, look: panels.Look, label: str, shift: float) -> None:
    layers = runs[0].spec.layers
    positions = [Spread(i + shift, None, 1) for i in range(len(layers))]
    panels.curve(ax, positions, kept(runs), look, label, hollow=among_zeros(runs))
    ax.set_xticks(range(len(layers)), layers)
