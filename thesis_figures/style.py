"""Sizes, colours and file formats of every figure: readable in black and white and by colour-blind readers."""

from pathlib import Path

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from bcnn_prune.files import atomic_write

WIDE = 7.2
"""Inches: the text width of an A4 thesis."""
DPI = 200
BLACK, GREY, BLUE, ORANGE = "#000000", "#8a8a8a", "#0072b2", "#d55e00"  # Okabe and Ito 2008
SKY, GREEN, PURPLE = "#56b4e9", "#009e73", "#cc79a7"  # the same palette's others
PALE, PALE_BLUE, PALE_ORANGE = "#f3f3f3", "#d9e8f2", "#fae3d3"
"""Grounds for text: a tenth or so of grey, blue and orange."""


def apply() -> None:
    """Set the style for figures made from here on."""
    sns.set_theme(context="paper", style="ticks", font="DejaVu Sans")
    mpl.rcParams.update(
        {
            "axes.spines.top": False,
            "axes.spines.right": False,
            "hatch.linewidth": 0.6,
            "pdf.fonttype": 42,  # whole TrueType outlines: text stays text, which printers and searches need
            "svg.hashsalt": "bcnn-prune",
        }
    )


def share(value: float) -> str:
    """0.4 as 40 %."""
    return f"{value * 100:.0f} %"


def write(figure: Figure, path: Path) -> None:
    """Write `figure` as PNG, without a date: the same figure gives the same file."""
    with atomic_write(path) as partial:
        figure.savefig(partial, format="png", dpi=DPI, metadata={"Software": None})


def write_both(figure: Figure, stem: Path) -> None:
    """Write `figure` as <stem>.png, for screens, and <stem>.pdf, for print; neither holds a date or a version.

    `stem` may hold dots, as in figure-1.1-image-processing."""
    write(figure, stem.with_name(f"{stem.name}.png"))
    undated = {"CreationDate": None, "Creator": None, "Producer": None}
    with atomic_write(stem.with_name(f"{stem.name}.pdf")) as partial:
        figure.savefig(partial, format="pdf", dpi=DPI, metadata=undated)
