"""A trained network and images of the set that it was trained on, from which int8 and its comparisons start."""

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from rich.console import Console
from rich.text import Text

from bcnn_prune.command_line.check import thread_counts
from bcnn_prune.data.batches import Split, StreamedSplit
from bcnn_prune.data.format import describe
from bcnn_prune.deployment.compare import pixel_batches
from bcnn_prune.deployment.quantise import Calibration
from bcnn_prune.metadata import ModelCard
from bcnn_prune.records import DatasetInfo
from experiments.run import datasets

CALIBRATION = 300  # val images: ranges of activations settle well before, and nncf's own default is as many


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings:
    """The network, and the file of its images."""

    checkpoint: tyro.conf.Positional[Path]
    """A network of ours: model.safetensors of a run."""
    dataset: str | None = None
    """Data set of the images; the checkpoint's own if not given."""
    data: Path | None = None
    """The HDF5 file, if it is not data/<dataset>.h5."""
    threads: int | None = None
    """Threads of each runtime; as many as torch takes if not given."""

    def check(self) -> None:
        """Raise ValueError for a value that cannot work."""
        thread_counts(threads=self.threads)

    def find_images(self, card: ModelCard, console: Console) -> tuple[Path, DatasetInfo]:
        """The HDF5 file. Raises ValueError for images that the network was not made for, and for a set that was
        prepared anew, with another split, unless it is named."""
        path, info = datasets.find_dataset(self.dataset or card.dataset, self.data, classes=20, console=console)
        if info.class_names != card.class_names:
            raise ValueError(f"{path} has other classes than the checkpoint, which was trained on {card.dataset}")
        if info.side != card.side:
            raise ValueError(f"{path} holds images of {info.side} px, the checkpoint takes {card.side} px")
        if card.data_digest not in ("", info.digest):
            told = f"{path} is not the file that the network was trained on: its test images may be training images"
            if self.dataset is None and self.data is None:
                raise ValueError(f"{told}. Prepare the set as it was, or name the file with --data to use it anyway")
            console.print(Text("Warning:", "bold"), f"{told}.")
        return path, info


def split_of(path: Path, name: str) -> StreamedSplit:
    """A split on the CPU, read as it is needed."""
    return StreamedSplit(path, name, describe(path).digest, torch.device("cpu"), workers=0)


def calibration(path: Path) -> Calibration:
    """`calibration_of` the val split of a file."""
    return calibration_of(split_of(path, "val"))


def calibration_of(val: Split) -> Calibration:
    """Pixels of CALIBRATION val images, or of all if there are fewer, drawn with one seed."""
    chosen = val.take(CALIBRATION, torch.Generator().manual_seed(0))
    return [pixels for pixels, _ in pixel_batches(chosen, 50)]
