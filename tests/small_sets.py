"""An image set that a network of a few channels learns in seconds: each class is a stripe pattern of its own."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bcnn_prune.data.format import SPLITS
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


def stripes(
    path: Path,
    name: str = "drawn-cars3",
    classes: int = 3,
    side: int = 16,
    per_class: tuple[int, int, int] = (24, 8, 8),
) -> DatasetInfo:
    """Write the set to `path`, with so many images per class in train, val and test."""
    examples = [
        Example(f"{split}/{label}/{i:03}", label, split, Stripes(label, 1000 * s + i))
        for s, (split, count) in enumerate(zip(SPLITS, per_class, strict=True))
        for label in range(classes)
        for i in range(count)
    ]
    return write(path, name, side, [f"stripes {label}" for label in range(classes)], examples, lambda *_: None)
