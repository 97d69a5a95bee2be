"""Accuracy of plans of one cost before fine-tuning and after it: does the cheap number tell the order?"""

import math

from matplotlib.figure import Figure

from thesis_figures import style
from thesis_figures.analysis.proxy import EXPERIMENT, accuracies, tau
from thesis_figures.analysis.sets import Sets
from thesis_figures.figures import panels


def draw(shown: Sets) -> Figure:
    """A panel a set, a mark a plan, each seed with a colour and with Kendall's τ of its own."""
    figure, columns = panels.columns(shown, 3.2)
    shares = set[float]()
    for (label, records), (ax,) in zip(shown.items(), columns, strict=True):
        found = [record for record in records if record.experiment == EXPERIMENT]
        for i, record in enumerate(found):
            look, (statistic, p) = panels.look(i), tau(record)
            told = f"τ = {statistic:.2f} (p = {p:.2g})" if math.isfinite(statistic) else "all plans tie"
            name = f"seed {record.seed}: {told}"
            ax.plot(*accuracies(record), look.marker, color=look.colour, markersize=4, alpha=0.8, label=name)
            shares |= {network.keep_macs for network in record.compared if network.keep_macs}
        for axis in ("x", "y"):
            panels.percent(ax, axis)
        ax.set_xlabel("test accuracy, BN statistics recomputed", fontsize=8)
        ax.legend(fontsize=panels.SMALL, frameon=False)
        panels.title(ax, label, {len(found)})
    columns[0][0].set_ylabel("test accuracy after fine-tuning", fontsize=8)
    budgets = " or ".join(map(style.share, sorted(shares)))
    figure.supxlabel(f"random widths at {budgets} of the multiply-adds, a mark a plan", fontsize=panels.SMALL)
    return figure
