"""Accuracy of cuts without fine-tuning by their share, as cut and after cheap repairs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from bcnn_prune.records import NEAR_ZERO, Evaluation, History, PruneStep, RunRecord
from thesis_figures import style
from thesis_figures.analysis import sets
from thesis_figures.analysis.runs import Runs, Spread
from thesis_figures.figures import panels

STAGES = {
    "cut: what is dropped is gone": "rebuilt",
    "what dropped channels emit absorbed": "absorbed",
    "BN statistics recomputed": "recalibrated",
}
"""Fields of PruneStep by their name in the legend."""


def draw(shown: sets.Sets) -> Figure:
    """A panel a set; the upright line is the share of γ that training had brought to zero."""
    figure, columns = panels.columns(shown, 3.5, sharey=True)
    seen = set[int]()
    for (label, records), (ax,) in zip(shown.items(), columns, strict=True):
        counts = set[int]()
        for runs in sets.of(records, "sweep", heavier=False):
            for i, (name, stage) in enumerate(STAGES.items()):
                panels.curve(ax, *stages(runs, stage), panels.look(i), name)
            panels.level(ax, panels.accuracy([r.test["sparse"] for r in runs]), "-", "sparse network, not cut")
            at_zero = Spread.of([at_zero_share(record) for record in runs])
            panels.level(ax, at_zero, ":", f"share of γ with |γ| < {NEAR_ZERO:g}", style.ORANGE, upright=True)
            counts.add(len(runs))
        if tuned := same_network(records):
            cuts = [Spread.of([_share(r, r.steps[-1]) for r in runs]) for runs in tuned]
            finals = [panels.accuracy([r.steps[-1].final for r in runs]) for runs in tuned]
            panels.curve(ax, cuts, finals, panels.look(3), "the same network, fine-tuned after one-shot")
            counts |= {len(runs) for runs in tuned}
        ax.axhline(1 / records[0].data.classes, color=style.GREY, linestyle=(0, (1, 3)), linewidth=0.9, label="chance")
        ax.set_xlim(0, 1)
        seen |= counts
        ax.set_xlabel("channels cut", fontsize=8)
        ax.set_xticks([0, 0.2, 0.4, 0.6, 0.8])
        panels.percent(ax, "x")
        panels.title(ax, label, counts)
    columns[0][0].set_ylim(0, min(1.03, columns[0][0].get_ylim()[1]))
    columns[0][0].set_ylabel("test accuracy", fontsize=8)
    panels.legend(figure, 3, panels.bars(seen))
    return figure


def stages(runs: Runs, stage: str) -> tuple[list[Spread], list[Spread]]:
    """Share of channels cut, and test accuracy at a stage, at each rate where it was measured."""
    x, y = list[Spread](), list[Spread]()
    for cuts in zip(*(record.sweep for record in runs), strict=True):
        evaluations: list[Evaluation | None] = [getattr(cut, stage) for cut in cuts]
        measured = [value for value in evaluations if value is not None]
        if len(measured) == len(runs):
            x.append(Spread.of([_share(record, cut) for record, cut in zip(runs, cuts, strict=True)]))
            y.append(panels.accuracy(measured))
    return x, y


def same_network(records: Sequence[RunRecord]) -> list[Runs]:
    """One-shot runs with the plain penalty whose sparse network is the very one that the sweep of their seed cuts.

    Runs of one seed that were made on different machines do not cut the same network."""
    swept = {_sparse(record) for runs in sets.of(records, "sweep", heavier=False) for record in runs}
    return sets.of([record for record in records if _sparse(record) in swept], "oneshot", heavier=False)


def _sparse(record: RunRecord) -> History | None:
    """Training history of the run's sparse network, which identifies it; None where there is none."""
    return record.training["sparse"].without_clock() if "sparse" in record.training else None


def at_zero_share(record: RunRecord) -> float:
    """The share of all γ of the sparse network below NEAR_ZERO."""
    return float((np.concatenate([np.asarray(values) for values in record.scales.values()]) < NEAR_ZERO).mean())


def _share(record: RunRecord, cut: PruneStep) -> float:
    return 1 - cut.spec.channels / record.spec.channels
