"""The method in one picture (after thesis figs 1.3 and 3.6): the network above, the pruning flow below."""

from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bcnn_prune.evaluation.cost import cost_lines, total_cost
from bcnn_prune.spec import ModelSpec
from thesis_figures import style
from thesis_figures.schematics.shapes import WIDTH, arrow, box, canvas, label, rectangle, scales

SPEC = ModelSpec.of("vgg16", classes=100)
MOST_CLASSES = 200
"""The thesis' sets have 100, 196 and 200 classes."""
SIDE = 224
"""Pixels of the image."""
TRAINED, REBUILT, TUNED = (0.95, 0.04, 0.5, 0.0, 0.72, 0.3), (0.95, 0.5, 0.72, 0.3), (1.0, 0.62, 0.8, 0.4)
"""Scales of one layer after each step: an example."""
MIDDLE = 71.0


def draw() -> Figure:
    """Upper row: image to classes. Lower row: train with L1 on γ, cut, rebuild, recalibrate, fine-tune."""
    figure, ax = canvas(97)
    _network(ax)
    _flow(ax)
    return figure


def _network(ax: Axes) -> None:
    box(ax, 2, MIDDLE - 8, 17, 16, "image")
    x = start = 26.5
    for _, stage in groupby(SPEC.layers, key=lambda layer: layer.split("_")[0]):
        for layer in stage:
            height = 7 + SPEC.width_of[layer] / 22
            rectangle(ax, x, MIDDLE - height / 2, 2.8, height, fill=style.SKY)
            x += 3.6
        x += 1.6
    end = x - 1.6 - 0.8
    names = f"VGG-16 with BatchNorm: {len(SPEC.layers)} convolutions, {SPEC.channels:,} scales γ"
    label(ax, (start + end) / 2, 91.5, names)
    box(ax, 91, MIDDLE - 11, 35, 22, "bilinear pooling\n$P = XX^{T}/HW$, X: C × HW\n\nsigned root, unit length")
    box(ax, 133, MIDDLE - 11, 47.9, 22, "one linear classifier\nfrom C × C features")
    least, most = (_classifier_share(classes) for classes in (SPEC.classes, MOST_CLASSES))
    label(ax, 157, 88.5, f"{least.removesuffix(' %')}–{most} of all parameters:\nshrinks with the square of C")
    for left, right in ((19.4, start - 0.4), (end + 0.6, 90.6), (126.4, 132.6)):
        arrow(ax, (left, MIDDLE), (right, MIDDLE))


def _classifier_share(classes: int) -> str:
    spec = ModelSpec.of(SPEC.backbone, classes)
    return style.share(cost_lines(spec, SIDE)["classifier"].params / total_cost(spec, SIDE).params)


def _flow(ax: Axes) -> None:
    steps = (
        ("1  train dense,\nthen with L1 on γ", TRAINED, 0.0),
        ("2  rank all |γ|,\ncut the lowest", TRAINED, 0.1),
        ("3  rebuild narrower:\ncopy what stays", REBUILT, 0.0),
        ("4  recompute BN\nstatistics", REBUILT, 0.0),
        ("5  fine-tune, then\ntest once", TUNED, 0.0),
    )
    gap = 5.0
    width = (WIDTH - 4 - gap * (len(steps) - 1)) / len(steps)
    for i, (text, heights, threshold) in enumerate(steps):
        x = 2 + i * (width + gap)
        box(ax, x, 2, width, 42)
        label(ax, x + width / 2, 37, text)
        scales(ax, x + width / 2, 7, heights, tall=20, wide=4, threshold=threshold)
        if i:
            arrow(ax, (x - gap + 0.4, 23), (x - 0.4, 23))
