"""Thesis fig 3.4: sigmoid and ReLU, with their slopes: why deep networks use the second."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from scipy.special import expit

from thesis_figures import style

REACH, HIGHEST = 6.0, 1.6
"""Ends of the axes. Both functions share the upper one, beyond which ReLU goes on: so slopes can be compared."""


def draw() -> Figure:
    """Each function, a solid line, and its slope, a dashed one."""
    style.apply()
    x = np.arange(-600, 601) / 600 * REACH
    sigmoid = expit(x)
    curves = {
        "sigmoid  1 / (1 + e$^{-x}$)": (sigmoid, sigmoid * (1 - sigmoid)),
        "ReLU  max(0, x)": (np.maximum(0, x), np.heaviside(x, np.nan)),
    }
    figure = Figure(figsize=(style.WIDE, 2.5), layout=ConstrainedLayoutEngine(wspace=0.06))
    for ax, (name, (values, slopes)) in zip(figure.subplots(1, 2, sharey=True), curves.items(), strict=True):
        ax.plot(x, values, color=style.BLUE, linewidth=1.6, label="value")
        ax.plot(x, slopes, color=style.ORANGE, linewidth=1.4, linestyle="--", label="slope")
        ax.set(xlim=(-REACH, REACH), ylim=(-0.06, HIGHEST), xlabel="x")
        ax.set_title(name)
        ax.legend(frameon=False, loc="upper left")
    figure.axes[0].set_ylabel("value and slope")
    return figure
