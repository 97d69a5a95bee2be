"""One image of a set, before it is written: where the readers of official layouts and the drawn sets meet."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Example:
    """One labelled image that can be had at any side."""

    id: str
    """Unique in its set; for an official set the official id."""
    label: int
    """Index into the set's class names, from 0."""
    split: Split
    read: Callable[[int], NDArray[np.uint8]]
    """Side in pixels → RGB image (side, side, 3). Raises ValueError that names the file."""
    source: Callable[[], tuple[int, int]] | None = None
    """→ (width, height) of the source image in pixels; None for an image that is drawn at the side asked for."""
    unturned: Callable[[], bool] | None = None
    """→ whether the source image notes a rotation (EXIF) that `read` does not apply; None where that cannot be."""


def cut_val(examples: Sequence[Example], share: float, seed: int) -> list[Example]:
    """The examples with `share` of every class's training images moved to val, sorted by id.

    A class gives at least one image and keeps at least one; a class with a single one keeps it. Images are ranked by a
    hash of seed and id, so the choice depends on neither the order of the lists nor the version of a generator."""
    if not 0 < share < 1:
        raise ValueError(f"--val-share is {share:g}: take more than 0 and less than 1")
    by_class: dict[int, list[str]] = {}
    for example in examples:
        if example.split == "train":
            by_class.setdefault(example.label, []).append(example.id)
    moved = {
        id
        for ids in by_class.values()
        for id in sorted(ids, key=lambda id: hashlib.sha256(f"{seed}/{id}".encode()).digest())[
            : min(len(ids) - 1, max(1, round(share * len(ids))))
        ]
    }
    return sorted(
        (replace(example, split="val") if example.id in moved else example for example in examples),
        key=lambda example: example.id,
    )


def check(class_names: Sequence[str], examples: Sequence[Example]) -> None:
    """Refuse with ValueError: a class named twice, a label outside the classes, an id that is not unique, a class
    without an image to train on or to test on, no image at all to validate on."""
    if repeated := [name for name, count in Counter(class_names).items() if count > 1]:
        raise ValueError(f"two classes are called {repeated[0]!r}")
    seen: set[str] = set()
    for example in examples:
        if not 0 <= example.label < len(class_names):
            raise ValueError(f"image {example.id} has label {example.label}, outside 0 to {len(class_names) - 1}")
        if example.id in seen:
            raise ValueError(f"two images are called {example.id}")
        seen.add(example.id)
    for split in ("train", "test"):
        present = {example.label for example in examples if example.split == split}
        for label, name in enumerate(class_names):
            if label not in present:
                raise ValueError(f"class {name!r} has no {split} image")
    if not any(example.split == "val" for example in examples):
        raise ValueError("there is no val image: some class needs two images to train on")
