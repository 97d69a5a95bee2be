"""Accuracy over parameters, a line for each method: what course document 003, question 3, asks for and leaves open."""

from collections import Counter
from collections.abc import Iterable, Mapping
from statistics import fmean

from matplotlib.figure import Figure

from bcnn_prune.records import RunRecord
from thesis_figures.analysis.compression import Method, without_other_rates
from thesis_figures.analysis.equal_cost import AS_LONG, DISTILLED, SELECTIONS, without_variants
from thesis_figures.analysis.runs import Spread, flow_of
from thesis_figures.analysis.sets import Sets
from thesis_figures.analysis.tradeoffs import COMPRESSION, EQUAL_COST, FLOW, Network, named, points
from thesis_figures.figures import panels
from thesis_figures.figures.tradeoff import unpruned

ROWS = {FLOW: "channels pruned", EQUAL_COST: "at equal multiply-adds", COMPRESSION: "other ways"}
WAYS = [SELECTIONS[way] for way in ("thesis", "mean", "rank", "random", "uniform")]
"""Those at equal cost that are shown; all have a figure of their own."""
LEVELS: dict[str, panels.Line] = {"dense": "-", AS_LONG: (0, (6, 3))}
HEIGHT = 2.0
"""Inches of a row."""
Key = tuple[str, str]
"""Kind and method."""
Line = list[tuple[Network, ...]]
"""Networks from the fewest parameters to the most, each over seeds."""


def draw(shown: Sets) -> Figure:
    """A column for each set, a row for each kind of method."""
    found = {label: lines(records) for label, records in shown.items()}
    keys = list(dict.fromkeys(key for of_set in found.values() for key in of_set))
    rows = {row: [key for key in keys if key[0] == row] for row in ROWS if any(key[0] == row for key in keys)}
    rows = rows or {FLOW: []}
    lengths = {(row, network): _most_common_epochs(found.values(), row, network) for row in rows for network in LEVELS}
    figure, columns = panels.columns(shown, HEIGHT * len(rows) + 0.6, len(rows), sharex="col", sharey="col")
    for (label, of_set), column in zip(found.items(), columns, strict=True):
        for ax, (row, in_row) in zip(column, rows.items(), strict=True):
            for i, key in enumerate(in_row):
                x = [Spread(_thousands(group), None, 1) for group in of_set.get(key, [])]
                y = [panels.accuracy([network.tested for network in group]) for group in of_set.get(key, [])]
                if x:
                    panels.curve(ax, x, y, panels.look(i), key[1])
            for network, line in LEVELS.items():
                epochs = lengths[row, network]
                runs = [run for run in _runs(of_set, row) if _epochs(run, network) == epochs]
                if level := unpruned(runs, network):
                    panels.level(ax, level, line, "dense" if network == "dense" else f"dense, {epochs} epochs")
        panels.log_axis(column[-1], "thousand parameters")
        panels.title(column[0], label, _counts([of_set]))
        panels.percent(column[0])
    for i, row in enumerate(rows):
        columns[0][i].set_ylabel(f"{ROWS[row]}\ntest accuracy", fontsize=panels.SMALL)
        panels.row_legend([column[i] for column in columns])
    figure.supxlabel(panels.bars(_counts(found.values())), fontsize=panels.SMALL)
    return figure


def lines(records: Iterable[RunRecord]) -> dict[Key, Line]:
    """The lines of a set; those of a single point, those of rarer unpruned networks and rarer recipes are left out."""
    groups = [group for group in points(without_other_rates(without_variants(records))) if group[0].comparison in ROWS]
    whole = Counter(group[0].record.spec for group in groups).most_common(1)
    found: dict[Key, Line] = {}
    for name, group in sorted(named(groups), key=lambda item: _thousands(item[1])):
        network = group[0]
        shown = network.comparison != EQUAL_COST or network.method.removesuffix(DISTILLED) in WAYS
        if shown and network.record.spec == whole[0][0]:
            found.setdefault((network.comparison, name), []).append(group)
    order = list(ROWS)
    keys = sorted(found, key=lambda key: (order.index(key[0]), *_place(found[key][0][0])))
    return {key: found[key] for key in keys if len(found[key]) > 1}


def _place(network: Network) -> tuple[bool, int, str, int]:
    """Order in a row; ways of compression stand as in their own figure."""
    if network.comparison == COMPRESSION:
        return *Method((network.record,)).place, 0
    return False, 0, network.method, network.tuning


def _runs(of_set: Mapping[Key, Line], row: str) -> list[RunRecord]:
    """The runs of a row's lines, or of all where it has none, whose unpruned networks they start from; of the flows the
    one-shot runs, where there are any, as in the figures of trade-offs."""
    lines = [line for key, line in of_set.items() if key[0] == row] or list(of_set.values())
    runs = {id(network.record): network.record for line in lines for group in line for network in group}
    one_shot = [run for run in runs.values() if flow_of(run) == "one-shot"]
    return one_shot if row == FLOW and one_shot else list(runs.values())


def _most_common_epochs(found: Iterable[Mapping[Key, Line]], row: str, network: str) -> int:
    """The number of epochs that most of the row's runs, of all sets, trained an unpruned network for; the larger of
    equals, 0 without any."""
    counts = Counter(epochs for of_set in found for run in _runs(of_set, row) if (epochs := _epochs(run, network)))
    return max(counts, key=lambda epochs: (counts[epochs], epochs), default=0)


def _epochs(run: RunRecord, network: str) -> int:
    """0 where the run has no such network."""
    recipe = run.recipes.get(network) if network in run.test else None
    return recipe.epochs if recipe else 0


def _counts(found: Iterable[Mapping[Key, Line]]) -> set[int]:
    """Numbers of seeds."""
    return {len(group) for of_set in found for line in of_set.values() for group in line}


def _thousands(group: tuple[Network, ...]) -> float:
    return fmean(network.cost.params for network in group) / 1e3
