"""Is |γ| the right thing to rank by, and is it the weights or the shape that pruning finds?"""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bcnn_prune.records import RunRecord
from thesis_figures import panels, sets, style
from thesis_figures.tradeoff import unpruned

CRITERIA = {
    "bn-scale": "by |γ|",
    "filter-norm": "by filter norm",
    "taylor": "by Taylor expansion",
    "random": "at random",
}
SCRATCH = {"scratch-epochs": "from scratch, as many epochs", "scratch-compute": "from scratch, as much computing"}
UNPRUNED = {"dense": ("-", style.BLACK), "control": ("--", style.GREY)}

Rows = dict[str, list[float]]
"""Test accuracy of each seed, by the row's label."""


def draw(shown: sets.Sets) -> Figure:
    """A column a set, criteria above and scratch below: a dot a seed, a bar at the mean; lines are not pruned."""
    parts = [{label: part(records) for label, records in shown.items()} for part in (criteria, scratch)]
    named = [(part, names) for part in parts if (names := _names(part))]
    tall = [len(names) for _, names in named]
    figure, columns = panels.columns(
        shown, 1.3 + 0.4 * len(named) + 0.25 * sum(tall), len(named), sharey="row", tall=tall
    )
    for (label, records), column in zip(shown.items(), columns, strict=True):
        compared = [record for record in records if record.experiment in ("criteria", "scratch")]
        for ax, (part, names) in zip(column, named, strict=True):
            _dots(ax, part[label], names)
            for network, (line, colour) in UNPRUNED.items():
                if value := unpruned(compared, network):
                    panels.level(ax, value, line, f"{network}, not pruned", colour, upright=True)
            ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        column[-1].set_xlabel("test accuracy", fontsize=8)
        panels.title(column[0], label, {len(values) for part, _ in named for values in part[label].values()})
    for ax, (_, names) in zip(columns[0], named, strict=True):
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.4, -0.6)
    panels.legend(figure, 4, "band: ± 1 standard deviation over seeds")
    return figure


def criteria(records: Sequence[RunRecord]) -> Rows:
    """Test accuracy after fine-tuning, for each criterion at each share that was cut."""
    groups = sets.of(records, "criteria")
    rows = {}
    for rate in sorted({sets.share_asked(runs[0]) for runs in groups}):
        for criterion, text in CRITERIA.items():
            for runs in groups:
                if sets.share_asked(runs[0]) == rate and runs[0].settings.get("criterion") == criterion:
                    rows[f"{rate:.0%} cut {text}"] = [record.steps[-1].final.accuracy for record in runs]
    return rows


def scratch(records: Sequence[RunRecord]) -> Rows:
    """Test accuracy of the pruned network, and of its shape trained from new weights."""
    rows = {}
    for runs in sets.of(records, "scratch"):
        cut = f"{sets.share_asked(runs[0]):.0%} cut"
        rows[f"{cut}: fine-tuned"] = [record.steps[-1].final.accuracy for record in runs]
        for network, text in SCRATCH.items():
            rows[f"{cut}: {text}"] = [record.test[network].accuracy for record in runs]
    return rows


def _names(part: Mapping[str, Rows]) -> list[str]:
    """The rows of any set, each once."""
    return list(dict.fromkeys(name for rows in part.values() for name in rows))


def _dots(ax: Axes, rows: Rows, names: Sequence[str]) -> None:
    seeds, means = "one seed", "mean over seeds"
    for y, name in enumerate(names):
        if values := rows.get(name):
            mean = sum(values) / len(values)
            ax.plot(values, [y] * len(values), "o", color=style.BLUE, markersize=4.5, fillstyle="none", label=seeds)
            ax.plot([mean, mean], [y - 0.3, y + 0.3], color=style.BLUE, linewidth=2, label=means)
