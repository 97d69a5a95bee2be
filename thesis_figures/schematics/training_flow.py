"""Thesis fig 1.2: one phase of training, batch by batch and epoch by epoch."""

from itertools import pairwise

from matplotlib.figure import Figure

from thesis_figures import style
from thesis_figures.schematics.shapes import SMALL, WIDTH, arrow, box, canvas, label, panel, row_of_boxes

BATCH = (
    "a batch of\nthe train split",
    "normalise,\nthen augment",
    "forward:\ncross-entropy",
    "backward:\ngradients",
    "L1: λ·sign(γ)\nto the gradients\nof BN scales",
    "one step of\nSGD with\nmomentum",
)
EPOCH = (
    "lower the rate\nwhen val stops\nrising",
    "keep the weights\nof the best val\n(L1 phase: the last)",
    "accuracy on\nthe val split",
    "soft pruning only:\nlowest |γ| and\ntheir β to zero",
)


def draw() -> Figure:
    """The loop over batches inside the loop over epochs, clockwise, and what leaves it."""
    figure, ax = canvas(99)
    panel(ax, 1.5, 20, WIDTH - 3, 77.5, "for every epoch")
    panel(ax, 5.5, 54, WIDTH - 11, 36, "for every batch", fill="white")
    middles = row_of_boxes(ax, 9, 64.5, 24, 17, BATCH, gap=4.2)
    arrow(ax, (middles[-1], 64.1), (middles[-1], 60), (middles[0], 60), (middles[0], 64.1))
    label(ax, (middles[0] + middles[-1]) / 2, 57.6, "next batch", SMALL)
    width, lefts = 31.5, [9 + i * 44.5 for i in range(4)]
    for left, text in zip(lefts, EPOCH, strict=True):
        box(ax, left, 25, width, 16.5, text, dashed=text.startswith("soft"))
    for left, right in pairwise(lefts):
        arrow(ax, (right - 0.4, 33.2), (left + width + 0.4, 33.2))
    last, first = lefts[-1] + width / 2, lefts[0] + width / 2
    arrow(ax, (last, 53.6), (last, 41.9))
    label(ax, last - 2, 47.7, "after the last batch", SMALL, ha="right")
    arrow(ax, (first, 41.9), (first, 53.6))
    label(ax, first + 2, 47.7, "next epoch", SMALL, ha="left")
    box(ax, lefts[1], 3, width, 12, "the phase's\nnetwork", fill=style.PALE_BLUE)
    arrow(ax, (lefts[1] + width / 2, 24.6), (lefts[1] + width / 2, 15.4))
    label(ax, lefts[1] + width / 2 + 2, 17.6, "after the last epoch", SMALL, ha="left")
    arrow(ax, (lefts[1] + width + 0.4, 9), (lefts[2] - 0.4, 9))
    box(ax, lefts[2], 3, width, 12, "accuracy on the\ntest split, read once")
    return figure
