"""Ways to make a network small: accuracy over multiply-adds, over the bytes of its file, and over CPU time."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bcnn_prune.records import Evaluation, RunRecord
from bcnn_prune.records.file_latency import FileTimes
from thesis_figures import style
from thesis_figures.analysis import variants
from thesis_figures.analysis.compression import Method, lines, methods, without_other_rates
from thesis_figures.analysis.equal_cost import AS_LONG
from thesis_figures.analysis.runs import Spread, over
from thesis_figures.analysis.sets import Sets
from thesis_figures.figures import panels
from thesis_figures.figures.tradeoff import unpruned

LEVELS: dict[str, tuple[panels.Line, str, str]] = {
    "dense": ("-", "dense", style.GREY),
    AS_LONG: ((0, (6, 3)), "dense, as long", style.BLACK),
}
BITS = 8
HEIGHT = 2.2
"""Inches of a row."""


@dataclass(frozen=True)
class Quantity:
    """A quantity of the x axis, of each seed's network that has it."""

    name: str
    of: Callable[[Method], list[float]]
    tested: Callable[[Method], list[Evaluation]] = lambda method: method.tested
    """Test counts of the networks that have it."""
    dense: Callable[[RunRecord], list[float]] = lambda _: []
    """Of the dense network, where it is known."""


QUANTITIES = (
    Quantity(
        "million multiply-adds",
        lambda method: [step.cost.macs / 1e6 for step in method.steps],
        dense=lambda record: [record.cost.macs / 1e6],
    ),
    Quantity(
        f"kB of the file, {BITS} bits per weight",
        lambda method: [one.file_bytes / 1e3 for one in method.packed(BITS)],
        lambda method: [one.test for one in method.packed(BITS)],
    ),
)


def cpu_time(files: FileTimes) -> Quantity:
    """Of the networks' files."""
    return Quantity(
        f"ms in {variants.label(files.runtime)}",
        lambda method: files.of(method.shapes),
        lambda method: [
            tested for tested, shape in zip(method.tested, method.shapes, strict=True) if files.of([shape])
        ],
        dense=lambda record: files.of([(record.data.side, record.spec)]),
    )


def draw(shown: Sets, files: FileTimes | None = None) -> Figure:
    """A column for each set, a row for each quantity, a line for each method over its budgets; the dense networks are
    bands. CPU time is that of `files`. Networks at another rate than the recipe's are left out beside those at it."""
    quantities = QUANTITIES if files is None else (*QUANTITIES, cpu_time(files))
    found = {label: methods(without_other_rates(records)) for label, records in shown.items()}
    curves = lines(method for of_set in found.values() for method in of_set)
    figure, columns = panels.columns(shown, HEIGHT * len(quantities) + 0.8, len(quantities), sharey="col")
    for (label, of_set), column in zip(found.items(), columns, strict=True):
        for ax, quantity in zip(column, quantities, strict=True):
            for i, (name, alike) in enumerate(curves.items()):
                _curve(ax, [method for method in alike if method in of_set], quantity, name, i)
            for network, look in LEVELS.items():
                if value := unpruned([run for method in of_set for run in method.runs], network):
                    panels.level(ax, value, *look)
            for cost in quantity.dense(of_set[0].runs[0]):
                ax.axvline(cost, color=style.GREY, linestyle=":", label="cost of the dense network", zorder=0)
            panels.log_axis(ax, quantity.name)
        panels.title(column[0], label, {len(method.runs) for method in of_set})
        panels.percent(column[0])
    for ax in columns[0]:
        ax.set_ylabel("test accuracy", fontsize=8)
    counts = {len(method.runs) for of_set in found.values() for method in of_set}
    panels.legend(figure, 4, f"{panels.bars(counts)}; budgets from the largest to the smallest")
    return figure


def _curve(ax: Axes, budgets: list[Method], quantity: Quantity, name: str, i: int) -> None:
    points = [(x, panels.accuracy(quantity.tested(method))) for method in budgets if (x := over(quantity.of(method)))]
    if points:
        at = [Spread(x.mean, None, 1) for x, _ in points]
        panels.curve(ax, at, [y for _, y in points], panels.look(i), name)
