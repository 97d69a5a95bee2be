"""Name what images show, with a deployed file and the runtime that it is for.

    python -m experiments.predict deployed/model-int8.onnx photo.jpg another.png

prints a line for each image with the three most probable classes. The .xml of OpenVINO, its .bin beside it, does as
well, and so does a .safetensors checkpoint. Images are decoded and resized as the prepared sets were: to RGB, white
where they are transparent, not keeping the aspect ratio; a rotation that a camera noted in the file is not applied."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from bcnn_prune.deployment.runtimes import Logits, open_any
from command_line.check import at_least
from data_prep.photos import Photo
from experiments import cli

SHOWN = 3  # classes an image


@dataclass(frozen=True, kw_only=True)
class Settings:
    model: tyro.conf.Positional[Path]
    """An .onnx or .xml file that experiments.deploy wrote, or a .safetensors checkpoint."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files."""
    banner: int = 0
    """Pixels cut off the bottom of each image; 20 for images as FGVC-Aircraft has them."""
    threads: int | None = None
    """As many as torch takes if not given."""
    batch: int = 64
    """Images computed at once."""

    def check(self) -> None:
        """Raise ValueError for a value that cannot work."""
        if not self.images:
            raise ValueError("no image: name one or more files")
        at_least(0, banner=self.banner)
        at_least(1, threads=self.threads, batch=self.batch)


def main(settings: Settings) -> None:
    settings.check()
    opened = open_any(settings.model, settings.threads or torch.get_num_threads())
    names = opened.about.class_names
    photos = [Photo(path, "the command line", settings.banner) for path in settings.images]
    # All are read before the first line is printed: a bad file among them is refused, not found half-way.
    pixels = np.stack([photo.pixels(opened.about.side) for photo in photos])
    for start in range(0, len(pixels), settings.batch):
        batch = slice(start, start + settings.batch)
        for path, row in zip(settings.images[batch], probabilities(opened.run(pixels[batch])), strict=True):
            best = np.argsort(-row, kind="stable")[:SHOWN]
            print(f"{path}: " + ", ".join(f"{names[i]} {row[i]:.3f}" for i in best))


def probabilities(logits: Logits) -> NDArray[np.float64]:
    """Softmax of each row."""
    powers: NDArray[np.float64] = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return shares


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written")
