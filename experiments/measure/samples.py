"""Draw the sample images that figures 2.3, 3.1 and 4.1 show.

    python -m experiments.measure.samples

takes some five seconds and writes a small file for each synthetic set and one of an augmented image to results/samples;
the same settings give the same files. It prints what it wrote."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from bcnn_prune.data.augment import augmented
from bcnn_prune.datasets import SYNTHETIC_CLASSES, DatasetName
from bcnn_prune.files import atomic_write, require_writable
from bcnn_prune.records.samples import Augmented, Pixels, SampleSet
from data_prep.synthetic.code import code_words
from data_prep.synthetic.families import FAMILIES, IMAGES, class_names, render
from experiments.recipes import Name, recipes_of
from experiments.run import cli

CLASSES = 6
"""Shown of each set."""
AUGMENTED, DRAWS = "cars", 5
SHOWN_RECIPES: tuple[Name, ...] = ("thesis", "small")
"""The family of the augmented image, how often it is shown with each augmentation, and the recipes of these."""
TRAIN, TEST = (list(IMAGES).index(split) for split in ("train", "test"))


@dataclass(frozen=True, kw_only=True)
class Settings:
    out: Path = Path("results/samples")
    """Folder of the files."""
    side: int = 128
    """Pixels: twice the synthetic sets' own side, for print."""
    seed: int = 0
    """Seed of the sets that the images belong to, and of the augmentation."""

    def check(self) -> None:
        """Raise ValueError for a value that cannot work."""
        if self.side < 16:
            raise ValueError(f"--side is {self.side}: take at least 16 pixels")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"--seed is {self.seed}: take 0 to {2**32 - 1}")


def main(settings: Settings) -> None:
    settings.check()
    require_writable(settings.out / "augmented.npz", "--out")
    for family in FAMILIES:
        _write(
            sampled(family, settings.seed, settings.side), settings.out / f"{DatasetName.synthetic(family).name}.npz"
        )
    _write(augmentations(settings.seed, settings.side), settings.out / "augmented.npz")


def sampled(family: str, seed: int, side: int) -> SampleSet:
    """Images of the synthetic set of this seed at another side."""
    words = code_words(FAMILIES[family].parts, SYNTHETIC_CLASSES)
    names = class_names(words)
    alike = most_alike(words)
    first = words[alike[0]]

    def test_image(label: int, index: int) -> Pixels:
        return render(family, words[label], (seed, label, TEST, index), side)

    return SampleSet(
        classes=np.stack([test_image(label, 0) for label in range(CLASSES)]),
        class_names=np.array(names[:CLASSES]),
        # The key decides the scene, pose and paint: the first class' key draws the others in its place.
        alike=np.stack([render(family, words[label], (seed, alike[0], TEST, 1), side) for label in alike]),
        alike_names=np.array([names[label] for label in alike]),
        differing=np.array([", ".join(differing(first, words[label])) for label in alike]),
        varied=np.stack([test_image(alike[0], 2 + i) for i in range(len(alike))]),
    )


def most_alike(words: Sequence[Mapping[str, str]]) -> tuple[int, int, int]:
    """The first three classes that differ in the fewest parts, summed over their pairs."""
    return min(
        combinations(range(len(words)), 3),
        key=lambda three: sum(len(differing(words[i], words[j])) for i, j in combinations(three, 2)),
    )


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The parts whose kinds differ."""
    return [part for part in one if one[part] != other[part]]


def augmentations(seed: int, side: int) -> Augmented:
    """A training image, and what a training step may see of it under each recipe."""
    (word, *_) = code_words(FAMILIES[AUGMENTED].parts, SYNTHETIC_CLASSES)
    original = render(AUGMENTED, word, (seed, 0, TRAIN, 0), side)
    amounts = [recipes_of(recipe, AUGMENTED).sparse.augment for recipe in SHOWN_RECIPES]
    batch = torch.from_numpy(original.copy()).permute(2, 0, 1).expand(DRAWS, -1, -1, -1)
    drawn = [augmented(batch, amount, torch.Generator().manual_seed(seed)) for amount in amounts]
    pixels = torch.stack([((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8) for x in drawn])
    return Augmented(
        original=original,
        draws=pixels.permute(0, 1, 3, 4, 2).contiguous().numpy(),
        recipes=np.array(SHOWN_RECIPES),
        amounts=np.array([json.dumps(asdict(amount)) for amount in amounts]),
    )


def _write(samples: SampleSet | Augmented, path: Path) -> None:
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **vars(samples))
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="files that were written are whole; the same command draws the rest")
