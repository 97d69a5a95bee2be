"""Sizes and colours of every figure: readable in black and white and by colour-blind readers."""

from pathlib import Path

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

WIDE = 7.2
"""Inches: the text width of an A4 thesis."""
BLACK, GREY, BLUE, ORANGE = "#000000", "#8a8a8a", "#0072b2", "#d55e00"  # Okabe and Ito 2008


def apply() -> None:
    """Set the style for figures made from here on."""
    sns.set_theme(context="paper", style="ticks", font="DejaVu Sans")
    mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "bcnn-prune"})


def write(figure: Figure, path: Path) -> None:
    """Write `figure` as PNG, without a date: the same figure gives the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=200, metadata={"Software": None})
