"""Thesis fig 3.2: the bilinear CNN from image to classes, with the shape of everything between."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bcnn_prune.spec import ModelSpec
from thesis_figures import style
from thesis_figures.schematics.shapes import SMALL, arrow, box, canvas, cuboid, label, rectangle

SPEC = ModelSpec.of("vgg16", classes=100)
SIDE = 224
"""Pixels of the image."""
MIDDLE, SHAPES = 30.0, 5.5
"""Heights on the page: of the flow, and of the line of shapes beneath."""


def draw() -> Figure:
    """Image, trunk, features X and their transpose, the product P, signed root and unit length, classifier."""
    figure, ax = canvas(54)
    channels, side = next((step.x.channels, step.x.side) for step in SPEC.steps(SIDE) if step.name == "pooling")
    positions = side * side
    rectangle(ax, 3, MIDDLE - 8, 16, 16, fill=style.PALE_BLUE)
    label(ax, 11, MIDDLE, "image")
    box(ax, 24, MIDDLE - 13, 25, 26, "VGG-16\nwith BatchNorm,\nwithout its\nlast max-pool")
    cuboid(ax, 54, MIDDLE - 8, 9, 13, 7)
    label(ax, 60, MIDDLE + 13, "features")
    _product(ax)
    root = r"$\mathrm{sign}(P)\,\sqrt{|P| + 10^{-8}}$"
    box(ax, 117.5, MIDDLE - 13, 29.5, 26, f"signed root:\n\n{root}\n\nunit length (L2)")
    box(ax, 152, MIDDLE - 13, 28, 26, "one linear\nclassifier:\na score for\neach class")
    for start, end in ((19.4, 23.6), (49.4, 53.6), (113, 117.1), (147.4, 151.6)):
        arrow(ax, (start, MIDDLE), (end, MIDDLE))
    shapes = {
        11: f"3 × {SIDE} × {SIDE}",
        36.5: f"{len(SPEC.layers)} convolutions,\n{SPEC.channels:,} scales γ",
        60: f"C × H × W\n{channels} × {side} × {side}",
        81.5: f"C × HW\n{channels} × {positions}",
        104: f"C × C\n{channels} × {channels}",
        132.2: f"C²\n{SPEC.features:,}",
        166: f"C² → K classes\n{SPEC.features:,} → K",
    }
    for x, text in shapes.items():
        label(ax, x, SHAPES, text, SMALL)
    return figure


def _product(ax: Axes) -> None:
    """X above, its transpose below, and their product: one trunk gives both."""
    arrow(ax, (68, MIDDLE), (70.5, MIDDLE), (70.5, MIDDLE + 11.5), (76.6, MIDDLE + 11.5))
    arrow(ax, (70.5, MIDDLE), (70.5, MIDDLE - 11.5), (73.1, MIDDLE - 11.5))
    rectangle(ax, 77, MIDDLE + 3.5, 9, 16, fill=style.SKY)
    label(ax, 81.5, MIDDLE + 11.5, "$X$")
    rectangle(ax, 73.5, MIDDLE - 16, 16, 9, fill=style.SKY)
    label(ax, 81.5, MIDDLE - 11.5, "$X^{T}$")
    arrow(ax, (86.4, MIDDLE + 11.5), (92, MIDDLE + 11.5), (92, MIDDLE + 1.5), (95.1, MIDDLE + 1.5))
    arrow(ax, (89.9, MIDDLE - 11.5), (92, MIDDLE - 11.5), (92, MIDDLE - 1.5), (95.1, MIDDLE - 1.5))
    rectangle(ax, 95.5, MIDDLE - 8.5, 17, 17, fill=style.SKY)
    label(ax, 104, MIDDLE, "$P$")
    label(ax, 104, MIDDLE + 13, "$P = XX^{T}/HW$")
