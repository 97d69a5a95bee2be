"""The course documents' experiments: accuracy over cost, and the curves of training."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bcnn_prune.records import EpochStats
from bcnn_prune.records.file_latency import FileTimes
from thesis_figures.analysis import variants
from thesis_figures.analysis.exercises import Trained
from thesis_figures.analysis.runs import Spread
from thesis_figures.figures import panels

HEIGHT = 2.3
"""Inches of a row."""
COSTS: dict[str, Callable[[Trained], list[float]]] = {
    "million multiply-adds": lambda network: [network.cost.macs / 1e6],
    "thousand parameters": lambda network: [network.cost.params / 1e3],
}
"""Costs of a network by their name; none where it is not known."""
Shown = Mapping[str, Sequence[Trained]]
"""The networks of a part, by data set."""


def draw(shown: Shown, files: FileTimes | None = None) -> Figure:
    """A column for each set: accuracy over multiply-adds, over parameters, and over the CPU time of `files`.
    MobileNet's α are joined for each side of the images."""
    everything = [one for networks in shown.values() for one in networks]
    costs = COSTS if files is None else COSTS | _cpu_time(files)
    costs = {quantity: of for quantity, of in costs.items() if any(map(of, everything))}
    figure, columns = panels.columns(
        {label: [] for label in shown}, HEIGHT * len(costs) + 0.6, len(costs), sharey="col"
    )
    names = list(dict.fromkeys(_label(one, networks) for networks in shown.values() for one in networks))
    counts = {len(one.runs) for one in everything}
    for (label, networks), column in zip(shown.items(), columns, strict=True):
        for ax, (quantity, of) in zip(column, costs.items(), strict=True):
            for i, name in enumerate(names):
                points = [one for one in networks if _label(one, networks) == name and of(one)]
                x = [Spread(cost, None, 1) for one in points for cost in of(one)]
                y = [panels.accuracy(list(one.tested.values())) for one in points]
                if points:
                    panels.curve(ax, x, y, panels.look(i), name)
            panels.log_axis(ax, quantity)
        panels.title(column[0], label, {len(one.runs) for one in networks})
        panels.percent(column[0])
    for ax in columns[0]:
        ax.set_ylabel("test accuracy", fontsize=8)
    panels.legend(figure, 3, panels.bars(counts))
    return figure


def _cpu_time(files: FileTimes) -> dict[str, Callable[[Trained], list[float]]]:
    return {f"ms in {variants.label(files.runtime)}": lambda network: files.of([network.shape])}


def curves(networks: Sequence[Trained]) -> Figure:
    """A column for each network, on the largest images: accuracy above, loss below, by epoch, on train and val; the
    first seed's."""
    largest = {one.name: one for one in reversed(networks)}
    names = list(dict.fromkeys(one.name for one in networks))
    figure, axes = panels.columns({name: [] for name in names}, 3.6, rows=2, sharex=True, sharey="row")
    for name, (accuracy, loss) in zip(names, axes, strict=True):
        epochs = largest[name].histories[0].epochs
        for ax, lines in ((accuracy, _accuracies(epochs)), (loss, _losses(epochs))):
            for (label, values), look in zip(lines.items(), reversed(panels.LOOKS[:2]), strict=True):
                numbers = [epoch.epoch for epoch in epochs]
                ax.plot(numbers, values, color=look.colour, linestyle=look.line, linewidth=1.2, label=label)
            ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        accuracy.set_title(_folded(name), fontsize=panels.SMALL)
        loss.set_xlabel("epoch", fontsize=8)
    panels.percent(axes[0][0])
    for ax, quantity in zip(axes[0], ("accuracy", "cross-entropy"), strict=True):
        ax.set_ylabel(quantity, fontsize=8)
    seeds = sorted({one.runs[0].seed for one in networks})
    panels.legend(figure, 2, f"curves of seed {', '.join(map(str, seeds))}")
    return figure


def _accuracies(epochs: Sequence[EpochStats]) -> dict[str, list[float]]:
    return {
        "train, augmented": [epoch.train.accuracy for epoch in epochs],
        "val": [epoch.val.accuracy for epoch in epochs],
    }


def _losses(epochs: Sequence[EpochStats]) -> dict[str, list[float]]:
    """Cross-entropy with the labels, also of networks that learn from a teacher; nothing where none was taken."""
    nothing = float("nan")
    return {
        "train, augmented": [epoch.loss if epoch.label_loss is None else epoch.label_loss for epoch in epochs],
        "val": [nothing if epoch.val.loss is None else epoch.val.loss for epoch in epochs],
    }


def _label(one: Trained, networks: Sequence[Trained]) -> str:
    if one.part.experiment == "mobilenet":
        return f"{one.side} px"
    return f"{one.name}, {one.side} px" if _several_sides(networks) else one.name


def _several_sides(networks: Sequence[Trained]) -> bool:
    return len({one.side for one in networks}) > 1


def _folded(name: str) -> str:
    return name.replace(", ", ",\n").replace(" in front", "\nin front")
