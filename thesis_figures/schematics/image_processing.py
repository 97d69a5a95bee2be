"""Thesis fig 1.1: what becomes of an image on its way into the network."""

from matplotlib.figure import Figure

from thesis_figures.schematics.shapes import WIDTH, arrow, box, canvas, panel, row_of_boxes

PREPARED = (
    "official lists:\nimage, class,\ntrain or test",
    "cut val\nfrom train",
    "decode to RGB\n(grey becomes\nthree channels)",
    "aircraft: cut off\nthe copyright\nbanner (20 px)",
    "resize to\n224 × 224 px,\naspect ratio\nnot kept",
    "one HDF5 file:\nuint8 pixels,\nlabels, ids",
)
COLUMNS, BRANCH_WIDTH, BRANCH_HEIGHT = (18.5, 60.0, 101.5, 143.0), 33.5, 15.0


def draw() -> Figure:
    """Above: the preparation of a set, done once. Below: what training and evaluation do with each batch."""
    figure, ax = canvas(91)
    panel(ax, 1.5, 56.5, WIDTH - 3, 33, "once for each set: python -m data_prep")
    middles = row_of_boxes(ax, 5.2, 60.5, 25, 19.5, PREPARED, gap=4.5)
    panel(ax, 13, 1.5, WIDTH - 14.5, 47, "for every batch, on the device that trains")
    upper, lower = 25.5, 5.5
    normalise, entry = "normalise with mean\nand deviation 0.5:\nvalues −1 to 1", 7.0
    branches = {
        upper: ("train:\nshuffled batches", normalise, "rotate by up to ±15°,\nmirror half of them"),
        lower: ("val and test:\nbatches in order", normalise),
    }
    for y, texts in branches.items():
        middle = y + BRANCH_HEIGHT / 2
        arrow(ax, (middles[-1], 60.1), (middles[-1], 52.5), (entry, 52.5), (entry, middle), (COLUMNS[0] - 0.4, middle))
        for left, text in zip(COLUMNS, texts, strict=False):
            box(ax, left, y, BRANCH_WIDTH, BRANCH_HEIGHT, text)
        for left, following in zip(COLUMNS, (*COLUMNS[1 : len(texts)], COLUMNS[-1]), strict=False):
            if following > left:
                arrow(ax, (left + BRANCH_WIDTH + 0.4, middle), (following - 0.4, middle))
    box(
        ax,
        COLUMNS[-1],
        lower,
        BRANCH_WIDTH,
        upper + BRANCH_HEIGHT - lower,
        "bilinear CNN:\nlearns from train,\nis judged on\nval and test",
    )
    return figure
