"""Synthetic image sets: fine-grained like the real ones, and learned in a minute.

Any two classes of a family differ in at least three parts; pose, paint, light, background and noise vary within each.
An image is a function of family, seed, class, split and index alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from string import ascii_uppercase

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bcnn_prune.datasets import SYNTHETIC_TRAIN_IMAGES
from data_prep.examples import Example, Split
from data_prep.synthetic import aircraft, birds, cars
from data_prep.synthetic.canvas import Canvas
from data_prep.synthetic.code import Parts, code_words
from data_prep.synthetic.scene import finished

IMAGES: dict[Split, int] = {"train": SYNTHETIC_TRAIN_IMAGES, "val": 10, "test": 25}
"""Images of a class in each split."""

OVERSAMPLING = 3
"""Factor by which pictures are rendered larger and then scaled down, which smooths edges."""


@dataclass(frozen=True)
class Family:
    """A family of synthetic objects: the parts that define its classes, and its renderer."""

    number: int
    """Part of every image's seed."""
    parts: Parts
    draw: Callable[[int, Mapping[str, str], Generator], Canvas]


FAMILIES = {
    "cars": Family(0, cars.PARTS, cars.draw),
    "aircraft": Family(1, aircraft.PARTS, aircraft.draw),
    "birds": Family(2, birds.PARTS, birds.draw),
}


def examples(
    family: str, classes: int, seed: int, train_images: int = SYNTHETIC_TRAIN_IMAGES
) -> tuple[list[str], list[Example]]:
    """Class names, and the examples of all splits; an image is rendered when its example is read.

    Of a class there are `train_images` to train on: a smaller set is a part of a larger one, with its val and test.

    Raises ValueError for an unknown family, and for more classes than its parts can tell apart."""
    if family not in FAMILIES:
        raise ValueError(f"no synthetic family is called {family}: take one of {', '.join(FAMILIES)}")
    words = code_words(FAMILIES[family].parts, classes)
    listed = [
        Example(
            id=f"{split}/{label:02d}/{index:03d}",
            label=label,
            split=split,
            read=partial(render, family, word, (seed, label, position, index)),
        )
        for position, (split, count) in enumerate({**IMAGES, "train": train_images}.items())
        for label, word in enumerate(words)
        for index in range(count)
    ]
    return class_names(words), listed


def render(family: str, kinds: Mapping[str, str], key: tuple[int, int, int, int], side: int) -> NDArray[np.uint8]:
    """One picture, side × side × 3, of an object with these kinds of parts.

    `key` (seed, class, split, index) draws everything else; at another side it is the same scene with other noise."""
    rng = np.random.default_rng([FAMILIES[family].number, *key])
    canvas = FAMILIES[family].draw(OVERSAMPLING * side, kinds, rng)
    return finished(canvas, side, rng)


def class_names(words: Sequence[Mapping[str, str]]) -> list[str]:
    """Short names: the kinds of the first two parts, and a letter where classes share them."""
    stems = [f"{second} {first}" for first, second, *_ in (word.values() for word in words)]
    return [
        f"{stem} {ascii_uppercase[stems[:i].count(stem)]}" if stems.count(stem) > 1 else stem
        for i, stem in enumerate(stems)
    ]
