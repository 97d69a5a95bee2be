"""Classify images with a checkpoint or a deployed file.

    python -m experiments.predict deployed/model-int8.onnx photo.jpg another.png
    python -m experiments.predict deployed/model-int8.onnx holiday/

prints a line for each image with the three most probable classes; of a folder, for each image in it and in the folders
in it. The .xml of OpenVINO, its .bin beside it, does as well, and so does a .safetensors checkpoint. Images are turned
upright as the camera noted it in the file (EXIF), and resized as the prepared sets were: to RGB, white where they are
transparent, not keeping the aspect ratio. Where one cannot be read, none is named."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from rich.console import Console

from bcnn_prune.command_line.check import at_least, thread_counts
from bcnn_prune.command_line.run import one_line
from bcnn_prune.deployment.registry import open_any
from bcnn_prune.deployment.runtime import LoadedModel, Logits, require_finite
from data_prep.photos import Photo, images_in
from data_prep.progress import progress_reporter
from experiments.run import cli

SHOWN = 3  # classes per image


@dataclass(frozen=True, kw_only=True)
class Settings:
    model: tyro.conf.Positional[Path]
    """An .onnx or .xml file that experiments.deploy wrote, or a .safetensors checkpoint."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files, and folders of them: those that end in .jpg, .png and so on, hidden ones left out."""
    banner: int = 0
    """Pixels cut off the bottom of each image; 20 for images as FGVC-Aircraft has them."""
    threads: int | None = None
    """CPU threads; as many as torch takes if not given."""
    batch: int = 64
    """Images computed at once."""

    def check(self) -> None:
        """Raise ValueError for a value that cannot work."""
        if not self.images:
            raise ValueError("no image: name one or more files")
        at_least(0, banner=self.banner)
        at_least(1, batch=self.batch)
        thread_counts(threads=self.threads)


def main(settings: Settings) -> None:
    settings.check()
    opened = open_any(settings.model, settings.threads or torch.get_num_threads())
    paths = [file for path in settings.images for file in (images_in(path) if path.is_dir() else [path])]
    lines: list[str] = []
    with progress_reporter(Console(stderr=True)) as report:
        for start in range(0, len(paths), settings.batch):
            lines += named(opened, paths[start : start + settings.batch], settings.banner)
            if len(paths) > settings.batch:
                report("naming", len(lines), len(paths))
    # After all are read: a bad file among them is refused before the first line, not found half-way.
    print(*lines, sep="\n")


def named(opened: LoadedModel, paths: Sequence[Path], banner: int) -> list[str]:
    """A line for each image. Raises ValueError for one that cannot be read, or that the network has no number for."""
    side, names = opened.card.side, opened.card.class_names
    pixels = np.stack([Photo(path, "the command line", banner, turned=True).pixels(side) for path in paths])
    logits = opened.run(pixels)
    for path, row in zip(paths, logits, strict=True):
        require_finite(row[None], f"the logits of {path}")
    lines = []
    for path, row in zip(paths, probabilities(logits), strict=True):
        best = np.argsort(-row, kind="stable")[:SHOWN]
        shown = re.sub(r"[\r\n]+", " ", str(path))
        lines.append(f"{shown}: " + one_line(", ".join(f"{names[i]} {row[i]:.3f}" for i in best)))
    return lines


def probabilities(logits: Logits) -> NDArray[np.float64]:
    """Softmax of each row."""
    powers: NDArray[np.float64] = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return shares


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written", memory="Take --batch 1, or smaller images")
