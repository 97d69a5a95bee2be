"""Image sets of a few kilobytes: stripes, which a network has to learn, and colours, which one can be built to tell.

Val and test are of different sizes, so that one cannot pass for the other.

Tests whose runs must come to an end take colours and the weights of `tests.helpers.small_networks`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bcnn_prune.data.format import SPLITS
from bcnn_prune.datasets import DatasetName
from bcnn_prune.records import DatasetInfo
from data_prep.examples import Example
from data_prep.write import write


class Stripes:
    """Reads as an image whose stripe direction and period tell the class; phase, tint and noise tell nothing."""

    def __init__(self, label: int, seed: int) -> None:
        self.label, self.seed = label, seed

    def __call__(self, side: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng([self.label, self.seed])
        across, down = np.mgrid[:side, :side]
        along = (across, down, across + down)[self.label % 3]
        wave = np.sin(along * (2 + self.label // 3) * 0.4 + rng.uniform(0, 6))
        image = 128 + 70 * wave[..., None] * rng.uniform(0.6, 1, 3) + rng.normal(0, 12, (side, side, 3))
        return image.clip(0, 255).astype(np.uint8)


class Colour:
    """Reads as an image of one primary colour, red, green or blue by class, on which brightness and noise are drawn."""

    def __init__(self, label: int, seed: int) -> None:
        self.label, self.seed = label, seed

    def __call__(self, side: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng([self.label, self.seed])
        image = rng.normal(40, 8, (side, side, 3))
        image[..., self.label] += rng.uniform(130, 170)
        return image.clip(0, 255).astype(np.uint8)


def stripes(
    path: Path,
    name: str = "drawn-cars3",
    classes: int = 3,
    side: int = 16,
    per_class: tuple[int, int, int] = (24, 8, 9),
) -> DatasetInfo:
    """Write a set of `Stripes` to `path`, with so many images per class in train, val and test."""
    return _written(path, name, [f"stripes {label}" for label in range(classes)], side, per_class, Stripes)


def colours(
    path: Path, name: str = "drawn-cars3", side: int = 16, per_class: tuple[int, int, int] = (32, 12, 13)
) -> DatasetInfo:
    """Write a set of the three `Colour`s to `path`, with so many images per class in train, val and test."""
    return _written(path, name, ["red", "green", "blue"], side, per_class, Colour)


def black(path: Path, name: str = "drawn-cars3", side: int = 16) -> DatasetInfo:
    """Write a set of three classes of black images, that no network can tell: 48 in train, 24 in val, 27 in test."""
    names = [f"black {label}" for label in range(3)]
    return _written(path, name, names, side, (16, 8, 9), lambda *_: lambda side: np.zeros((side, side, 3), np.uint8))


def _written(
    path: Path,
    name: str,
    classes: list[str],
    side: int,
    per_class: tuple[int, int, int],
    image: Callable[[int, int], Callable[[int], NDArray[np.uint8]]],
) -> DatasetInfo:
    examples = [
        Example(f"{split}/{label}/{i:03}", label, split, image(label, 1000 * s + i))
        for s, (split, count) in enumerate(zip(SPLITS, per_class, strict=True))
        for label in range(len(classes))
        for i in range(count)
    ]
    return write(path, DatasetName.parse(name), side, classes, examples, lambda *_: None)
