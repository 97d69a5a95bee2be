"""γ layer by layer under the plain and under the heavier last penalty: what the weight on the last layer moves."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator
from numpy.typing import NDArray

from bcnn_prune.records import NEAR_ZERO, RunRecord
from thesis_figures import style
from thesis_figures.analysis import sets
from thesis_figures.analysis.runs import Runs
from thesis_figures.figures import gamma, panels

BINS = 40
OVERLAP = 1.6
"""Height of the tallest ridge, in layers."""
NAMES = {False: "plain penalty", True: "heavier last penalty"}
FILLS = {False: style.PALE_BLUE, True: style.PALE_ORANGE}


def comparable(records: Sequence[RunRecord]) -> bool:
    """True where both penalties were run."""
    return all(sets.sparse_networks(records, heavier=heavier) for heavier in NAMES)


def draw(label: str, records: Sequence[RunRecord]) -> Figure:
    """Left and middle the distributions of the γ that are not at zero, right the share that is."""
    both = {heavier: sets.sparse_networks(records, heavier=heavier) for heavier in NAMES}
    dense = both[False][0]
    layers = list(dense.scales)
    style.apply()
    figure = Figure(figsize=(style.WIDE, 4.8), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True, width_ratios=(1, 1, 0.8))
    pooled = {heavier: gamma.pooled(runs) for heavier, runs in both.items()}
    highest = max(map(gamma.reach, pooled.values()))
    edges = np.linspace(0, highest, BINS + 1)
    heights = {heavier: [_shares(runs, layer, edges) for layer in layers] for heavier, runs in both.items()}
    tallest = max(float(shares.max()) for rows in heights.values() for shares in rows)
    for i, (ax, heavier) in enumerate(zip(axes, NAMES, strict=False)):
        _ridges(ax, heights[heavier], edges, OVERLAP / tallest, FILLS[heavier], panels.look(i).colour)
        ax.set_xlabel(f"|γ|, BatchNorm scale\n{gamma.beyond(pooled[heavier], highest)}", fontsize=8)
        panels.title(ax, NAMES[heavier], {len(both[heavier])})
    _at_zero(axes[2], both, layers)
    axes[0].yaxis.set_major_locator(FixedLocator(range(len(layers))))
    axes[0].set_yticklabels([f"{layer} ({len(dense.scales[layer])})" for layer in layers])
    axes[0].set_ylabel("layer (its channels)", fontsize=8)
    axes[0].set_ylim(len(layers) - 0.4, -OVERLAP)
    for ax in axes:
        ax.tick_params(labelsize=panels.SMALL)
    together = ", all seeds together" if max(map(len, both.values())) > 1 else ""
    text = f"{label}: channels by |γ|{together}, without those at zero"
    figure.suptitle(f"{text}; the tallest bar is {style.share(tallest)} of its layer", fontsize=8.5)
    return figure


def _shares(runs: Runs, layer: str, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of a layer's channels in each bin, of all seeds together, without those at zero."""
    values = np.concatenate([np.asarray(record.scales[layer]) for record in runs])
    counts, _ = np.histogram(values[values >= NEAR_ZERO], edges)
    return counts / len(values)


def _ridges(
    ax: Axes, rows: Sequence[NDArray[np.float64]], edges: NDArray[np.float64], scale: float, fill: str, line: str
) -> None:
    for y, shares in enumerate(rows):
        tops = y - scale * np.append(shares, shares[-1])
        ax.fill_between(edges, y, tops, step="post", facecolor=fill, alpha=0.75, linewidth=0, zorder=2 + y)
        ax.step(edges, tops, where="post", color=line, linewidth=0.8, zorder=2 + y)


def _at_zero(ax: Axes, both: dict[bool, Runs], layers: Sequence[str]) -> None:
    for i, (heavier, runs) in enumerate(both.items()):
        shares = panels.spreads([[float((np.asarray(r.scales[x]) < NEAR_ZERO).mean()) for x in layers] for r in runs])
        ax.barh(
            [y - 0.55 + 0.3 * i for y in range(len(layers))],
            [share.mean for share in shares],
            xerr=[share.deviation or 0 for share in shares],
            height=0.28,
            color=panels.look(i).colour if heavier else "white",
            edgecolor=panels.look(i).colour,
            linewidth=0.8,
            error_kw={"elinewidth": 0.6},
        )
    ax.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1])
    panels.percent(ax, "x")
    several = max(map(len, both.values())) > 1
    spread = "mean ± 1 standard deviation" if several else "one seed"
    ax.set_xlabel(f"channels with |γ| < {NEAR_ZERO:g},\n{spread}", fontsize=8)
    ax.set_title("at zero\n(open: plain, filled: heavier)", fontsize=8.5)
