"""Labelled images of a set before it is written, from a reader or a renderer, and how splits are cut from them."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "val", "test"]

VAL_SHARE, TEST_SHARE = 0.1, 0.2


@dataclass(frozen=True)
class Example:
    """One labelled image, readable at any side."""

    id: str
    """Unique in its set; for an official set the official id."""
    label: int
    """Index into the set's class names, from 0."""
    split: Split
    read: Callable[[int], NDArray[np.uint8]]
    """Side in pixels → RGB image (side, side, 3). Raises ValueError that names the file."""
    source: Callable[[], tuple[int, int]] | None = None
    """→ (width, height) of the source image in pixels; None for an image that is rendered at any side."""
    unturned: Callable[[], bool] | None = None
    """→ whether the source image has an EXIF rotation that `read` does not apply; None where it cannot have one."""


def cut(examples: Sequence[Example], to: Literal["val", "test"], share: float, seed: int) -> list[Example]:
    """The examples with `share` of every class's training images moved to another split, sorted by id.

    A class gives at least one image and keeps at least one; a class with a single one keeps it. Images are ranked by a
    hash of seed and id, so the choice depends on neither the order of the lists nor the version of a generator. Raises
    ValueError for a share that is not between 0 and 1."""
    if not 0 < share < 1:
        raise ValueError(f"--{to}-share is {share:g}: take more than 0 and less than 1")
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
        (replace(example, split=to) if example.id in moved else example for example in examples),
        key=lambda example: example.id,
    )


@dataclass(frozen=True)
class Shares:
    """Shares of the training images that become the splits that a source lacks."""

    val: float | None = None
    """Share of every class's training images; VAL_SHARE where it is None."""
    test: float | None = None
    """Share of every class's images, cut first; TEST_SHARE where it is None."""
    seed: int = 0

    def fill(self, examples: Sequence[Example], source: object) -> list[Example]:
        """The examples in three splits. Raises ValueError for a share of a split that `source` names already."""
        splits = {example.split for example in examples}
        filled = list(examples)
        cuts: tuple[tuple[Literal["val", "test"], float | None, float], ...]
        cuts = (("test", self.test, TEST_SHARE), ("val", self.val, VAL_SHARE))
        for split, share, default in cuts:
            if split not in splits:
                filled = cut(filled, split, default if share is None else share, self.seed)
            elif share is not None:
                raise ValueError(f"{source} names the {split} images: leave out --{split}-share")
        return filled


DEFAULT_SHARES = Shares()


def check(class_names: Sequence[str], examples: Sequence[Example]) -> None:
    """Raise ValueError for examples that are no sound set.

    Class names and ids must be unique, and labels in range. Every class needs a train and a test image, and the set a
    val image."""
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
