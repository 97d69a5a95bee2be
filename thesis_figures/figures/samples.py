"""Thesis figs 2.3, 3.1 and 4.1: synthetic images, as experiments.measure.samples left them in results/samples."""

import json
from collections.abc import Callable
from pathlib import Path

import cattrs
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bcnn_prune.records import Augmentation
from bcnn_prune.records.samples import Augmented, Pixels, SampleSet, read
from thesis_figures import style
from thesis_figures.schematics.shapes import SMALL, TEXT, TITLE, WIDTH, canvas, label, picture

SETS = ("drawn-aircraft", "drawn-birds", "drawn-cars")


def fine_grained(folder: Path) -> Figure:
    """Fig 2.3. Left: classes that differ in a few parts only. Right: one class, in all that may vary within it."""
    side, pitch, row = 26.0, 28.6, 38.5
    lefts = (10.0, WIDTH - 2 - 2 * pitch - side)
    figure, ax = canvas(9.5 + row * len(SETS))
    middles = [left + pitch + side / 2 for left in lefts]
    titles = ("classes that differ in a few parts", "one class, different images")
    for middle, title in zip(middles, titles, strict=True):
        label(ax, middle, 4.5 + row * len(SETS), title, TITLE, va="baseline", bold=True)
    for i, name in enumerate(SETS):
        samples, y = read(SampleSet, folder / f"{name}.npz"), 10 + row * (len(SETS) - 1 - i)
        label(ax, 5, y + side / 2, name, TITLE, bold=True, rotation=90)
        _row(ax, lefts[0], y, side, pitch, samples.alike)
        _row(ax, lefts[1], y, side, pitch, samples.varied)
        for j, (kind, parts) in enumerate(zip(samples.alike_names, samples.differing, strict=True)):
            middle = lefts[0] + j * pitch + side / 2
            _caption(ax, middle, y, *(("differs in", str(parts)) if parts else (str(kind),)))
        _caption(ax, middles[1], y, f"test images of {samples.alike_names[0]}")
    return figure


def augmentation(folder: Path) -> Figure:
    """Fig 3.1. The image as prepared, and draws of the augmentation that a training step sees, a row for a recipe."""
    samples = read(Augmented, folder / "augmented.npz")
    side, pitch, row, large = 25.5, 28.0, 36.0, 36.0
    rows, columns = samples.draws.shape[:2]
    figure, ax = canvas(row * rows + 1)
    left, middle = WIDTH - 2 - (columns - 1) * pitch - side, (row * rows - 8) / 2
    picture(ax, 2, middle - large / 2, large, samples.original)
    label(ax, 2, middle + large / 2 + 2.6, "prepared image", TITLE, ha="left", va="baseline", bold=True)
    for i, (recipe, amount) in enumerate(zip(samples.recipes, samples.amounts, strict=True)):
        y = 2.5 + row * (rows - 1 - i)
        _row(ax, left, y, side, pitch, samples.draws[i])
        label(ax, left, y + side + 2.6, f"recipe “{recipe}”:", TITLE, ha="left", va="baseline", bold=True)
        text = described(cattrs.structure(json.loads(str(amount)), Augmentation))
        label(ax, left + 31, y + side + 2.6, text, TEXT, ha="left", va="baseline")
    return figure


def data_sets(folder: Path) -> Figure:
    """Fig 4.1. A row of classes of each synthetic set."""
    sets = {name: read(SampleSet, folder / f"{name}.npz") for name in SETS}
    columns = min(len(samples.classes) for samples in sets.values())
    row, first = 34.5, 10.0
    pitch = (WIDTH - first - 2 + 3) / columns
    side = pitch - 3
    figure, ax = canvas(row * len(sets) + 1)
    for i, (name, samples) in enumerate(sets.items()):
        y = 7 + row * (len(sets) - 1 - i)
        label(ax, 5, y + side / 2, name, TITLE, bold=True, rotation=90)
        _row(ax, first, y, side, pitch, samples.classes[:columns])
        for j, kind in enumerate(samples.class_names[:columns]):
            _caption(ax, first + j * pitch + side / 2, y, str(kind))
    return figure


SAMPLES: dict[str, Callable[[Path], Figure]] = {
    "figure-2.3-fine-grained": fine_grained,
    "figure-3.1-augmentation": augmentation,
    "figure-4.1-data-sets": data_sets,
}
"""By the name of the file that they become; each takes the folder that experiments.measure.samples wrote to."""


def described(amount: Augmentation) -> str:
    """The amounts in words, those that are zero left out."""
    shares = {"shift": amount.shift, "zoom": amount.zoom, "colour": amount.colour}
    words = [f"rotation ±{amount.rotation:g}°"] if amount.rotation else []
    words += [f"{name} ±{style.share(value)}" for name, value in shares.items() if value]
    words += ["half of them mirrored"] if amount.flip else []
    return ", ".join(words) or "nothing changed"


def _caption(ax: Axes, middle: float, y: float, *lines: str) -> None:
    """Lines under an image whose lower edge is at `y`, on the same base lines whatever they say."""
    for i, line in enumerate(lines):
        label(ax, middle, y - 3.6 - 3 * i, line, SMALL, va="baseline")


def _row(ax: Axes, left: float, y: float, side: float, pitch: float, images: Pixels) -> None:
    for i, pixels in enumerate(images):
        picture(ax, left + i * pitch, y, side, pixels)
