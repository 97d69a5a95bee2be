"""Soft pruning as it goes: what each zeroing costs, and how far the zeroed channels settle."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bcnn_prune.records import EpochStats, SoftPruningEvent
from thesis_figures import style
from thesis_figures.analysis import sets
from thesis_figures.analysis.runs import Runs, Spread, share_cut
from thesis_figures.figures import panels


def draw(shown: sets.Sets) -> Figure:
    """Val accuracy before and after each zeroing, and below it the overlap with the zeroing before."""
    figure, columns = panels.columns(shown, 5.0, rows=3, sharex="col", sharey="row", tall=(2, 3, 3))
    names = sorted({_name(runs) for records in shown.values() for runs in sets.of(records, "soft")})
    seen = set[int]()
    for (label, records), (before, after, overlap) in zip(shown.items(), columns, strict=True):
        counts = set[int]()
        for runs in sets.of(records, "soft"):
            name = _name(runs)
            look, epochs = panels.look(names.index(name)), _zeroings(runs)
            panels.curve(before, *accuracies(epochs, "before"), look, name)
            panels.curve(after, *accuracies(epochs, "after"), look, name)
            panels.curve(overlap, *overlaps(epochs), look, name)
            counts.add(len(runs))
        overlap.set_xlabel("epoch", fontsize=8)
        overlap.xaxis.set_major_locator(MaxNLocator(integer=True))
        overlap.set_ylim(0, 1.04)
        panels.title(before, label, counts)
        seen |= counts
    texts = ("val accuracy\nbefore zeroing", "val accuracy\nafter zeroing", "Jaccard index with\nthe zeroing before")
    for ax, text in zip(columns[0], texts, strict=True):
        ax.set_ylabel(text, fontsize=8)
    columns[0][1].set_ylim(-0.03, 1.03)
    panels.legend(figure, 3, panels.bars(seen))
    return figure


Epochs = list[list[tuple[EpochStats, SoftPruningEvent]]]
"""By zeroing, then by seed."""


def accuracies(epochs: Epochs, when: str) -> tuple[list[Spread], list[Spread]]:
    """Epochs, and val accuracy `before` or `after` their zeroing."""
    values = [panels.accuracy([getattr(zeroing, when) for _, zeroing in seeds]) for seeds in epochs]
    return [Spread(seeds[0][0].epoch, None, 1) for seeds in epochs], values


def overlaps(epochs: Epochs) -> tuple[list[Spread], list[Spread]]:
    """Epochs and Jaccard index with the zeroing before, where all seeds have one."""
    x, y = list[Spread](), list[Spread]()
    for seeds in epochs:
        jaccards = [zeroing.jaccard for _, zeroing in seeds if zeroing.jaccard is not None]
        if len(jaccards) == len(seeds):
            x.append(Spread(seeds[0][0].epoch, None, 1))
            y.append(Spread.of(jaccards))
    return x, y


def _zeroings(runs: Runs) -> Epochs:
    by_seed = [[(e, e.zeroing) for e in record.training["soft"].epochs if e.zeroing] for record in runs]
    return [list(seeds) for seeds in zip(*by_seed, strict=True)]


def _name(runs: Runs) -> str:
    settings = runs[0].settings
    every, ramp = settings.get("every", 1), settings.get("ramp", 1)
    slowly = (f", every {every} epochs" if every != 1 else "") + (f", over {ramp} epochs" if ramp != 1 else "")
    return f"{style.share(share_cut(runs[0]))} of all channels at zero{slowly}"
