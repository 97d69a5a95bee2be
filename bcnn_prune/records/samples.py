"""Sample images in results/samples: a few per synthetic set, and one augmented. Arrays only, so a file is an npz."""

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Shaped, UInt8

Pixels = UInt8[np.ndarray, "..."]
"""RGB, the last three axes side × side × 3."""
Texts = Shaped[np.ndarray, "..."]


@dataclass(frozen=True)
class SampleSet:
    """Images of one synthetic set."""

    classes: Pixels
    """An image of each of the first classes."""
    class_names: Texts
    alike: Pixels
    """Those classes that differ in the fewest parts, drawn from one key: in the same pose and, where parts draw no lots
    of their own, in the same scene."""
    alike_names: Texts
    differing: Texts
    """The parts in which each of `alike` differs from the first of them; nothing for the first."""
    varied: Pixels
    """Images of the first of `alike_names`, as the set has them."""


@dataclass(frozen=True)
class Augmented:
    """One image, and what augmentation makes of it."""

    original: Pixels
    draws: Pixels
    """By recipe and draw."""
    recipes: Texts
    amounts: Texts
    """The Augmentation of each recipe as JSON."""


Kind = TypeVar("Kind", SampleSet, Augmented)


def read(kind: type[Kind], path: Path) -> Kind:
    """The file's samples. Raises FileNotFoundError or ValueError with the command that makes it."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: python -m experiments.measure.samples draws it")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return kind(**{field.name: arrays[field.name] for field in fields(kind)})
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} holds no such samples: python -m experiments.measure.samples draws it anew"
        ) from error
