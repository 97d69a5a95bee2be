"""Is |γ| the right thing to rank by, and is it the weights or the shape that pruning finds?"""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bcnn_prune.records import RunRecord
from thesis_figures import style
from thesis_figures.analysis import sets
from thesis_figures.analysis.runs import known_first, share_cut
from thesis_figures.analysis.tradeoffs import ANEW
from thesis_figures.figures import panels
from thesis_figures.figures.tradeoff import unpruned

CRITERIA = {
    "bn-scale": "by |γ|",
    "filter-norm": "by filter norm",
    "taylor": "by Taylor expansion",
    "fisher": "by Fisher information",
    "fisher-head": "by Fisher information, head anew",
    "random": "at random",
}
UNPRUNED = {"dense": ("-", style.BLACK), "control": ("--", style.GREY)}

Rows = dict[str, list[float]]
"""Test accuracy of each seed, by the row's label."""


def draw(shown: sets.Sets) -> Figure:
    """One column per set, criteria above and scratch below: one dot per seed, a bar at the mean; lines: not pruned."""
    parts = {name: {label: part(records) for label, records in shown.items()} for name, part in PARTS.items()}
    named = [(name, part, names) for name, part in parts.items() if (names := _names(part))]
    tall = [len(names) for *_, names in named]
    figure, columns = panels.columns(
        shown, 1.3 + 0.4 * len(named) + 0.25 * sum(tall), len(named), sharey="row", tall=tall
    )
    seen = set[int]()
    for (label, records), column in zip(shown.items(), columns, strict=True):
        for i, (ax, (experiment, part, names)) in enumerate(zip(column, named, strict=True)):
            counts = {len(values) for values in part[label].values()}
            seen |= counts
            if i == 0:
                panels.title(ax, label, counts)
            elif counts:
                ax.set_title(panels.seeds(counts), fontsize=8.5)
            compared = [record for record in records if record.experiment == experiment]
            if not compared:
                ax.set_xticks([])
                ax.text(0.5, 0.5, "not run", transform=ax.transAxes, ha="center", va="center", fontsize=8)
                continue
            _dots(ax, part[label], names)
            for network, (line, colour) in UNPRUNED.items():
                if value := unpruned(compared, network):
                    panels.level(ax, value, line, f"{network}, not pruned", colour, upright=True)
            ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            ax.set_xlabel("test accuracy", fontsize=8)
    for ax, (_, _, names) in zip(columns[0], named, strict=True):
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.4, -0.6)
    panels.legend(figure, 4, f"lines and bands: of the same runs; {panels.bars(seen, 'bands')}")
    return figure


def criteria(records: Sequence[RunRecord]) -> Rows:
    """Test accuracy after fine-tuning, for each criterion at each share that was cut."""
    groups = sets.of(records, "criteria")
    rows = {}
    criteria_run = known_first({str(runs[0].settings["criterion"]) for runs in groups}, CRITERIA)
    for rate in sorted({share_cut(runs[0]) for runs in groups}):
        for criterion in criteria_run:
            text = CRITERIA.get(criterion, f"by {criterion}")
            for runs in groups:
                if share_cut(runs[0]) == rate and runs[0].settings.get("criterion") == criterion:
                    rows[f"{style.share(rate)} cut {text}"] = [record.steps[-1].final.accuracy for record in runs]
    return rows


def scratch(records: Sequence[RunRecord]) -> Rows:
    """Test accuracy of the pruned network, and of its shape trained from new weights."""
    rows = {}
    for runs in sets.of(records, "scratch"):
        cut = f"{style.share(share_cut(runs[0]))} cut"
        rows[f"{cut}: fine-tuned"] = [record.steps[-1].final.accuracy for record in runs]
        anew = {name for record in runs for name in record.test if name.startswith("scratch-")}
        for network in known_first(anew, ANEW):
            text = ANEW.get(network, network)
            rows[f"{cut}: {text}"] = [record.test[network].accuracy for record in runs if network in record.test]
    return rows


PARTS: dict[str, Callable[[Sequence[RunRecord]], Rows]] = {"criteria": criteria, "scratch": scratch}
"""By the experiment, from above."""


def _names(part: Mapping[str, Rows]) -> list[str]:
    """The rows of any set, each once."""
    return list(dict.fromkeys(name for rows in part.values() for name in rows))


def _dots(ax: Axes, rows: Rows, names: Sequence[str]) -> None:
    seeds, means = "one seed", "mean over seeds"
    for y, name in enumerate(names):
        if values := rows.get(name):
            mean = sum(values) / len(values)
            ax.plot(values, [y] * len(values), "o", color=style.BLUE, markersize=4.5, fillstyle="none", label=seeds)
            if len(values) > 1:
                ax.plot([mean, mean], [y - 0.3, y + 0.3], color=style.BLUE, linewidth=2, label=means)
