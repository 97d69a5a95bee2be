"""A split of a prepared set, in memory or streamed from its file, and the batches of it.

Both give the same batches for the same generator: uint8, on the device that trains; whoever reads them normalises."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import h5py
import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from bcnn_prune.distributed import SINGLE_PROCESS, ProcessGroup

Batch = tuple[UInt8[Tensor, "batch 3 side side"] | Float[Tensor, "batch 3 side side"], Int64[Tensor, " batch"]]


@runtime_checkable
class Split(Protocol):
    """The images and labels of one split."""

    def __len__(self) -> int: ...

    @property
    def side(self) -> int:
        """Pixels."""

    @property
    def device(self) -> torch.device:
        """Device of the batches."""

    def batches(
        self, size: int, generator: torch.Generator | None = None, ranks: ProcessGroup = SINGLE_PROCESS
    ) -> Iterator[Batch]:
        """Each image once: in the order of the file, or shuffled by a CPU generator. The last batch may be smaller.

        Where ranks are several each gets its share of every batch, which may be no image at all, and reads no other."""

    def take(self, count: int, generator: torch.Generator | None = None) -> "ImageSplit":
        """The first `count` images, or so many drawn without replacement; all of them where there are fewer."""


@dataclass(frozen=True)
class ImageSplit:
    """All images of a split in the memory of one device."""

    images: UInt8[Tensor, "n 3 side side"] | Float[Tensor, "n 3 side side"]
    labels: Int64[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def side(self) -> int:
        return self.images.shape[-1]

    @property
    def device(self) -> torch.device:
        return self.images.device

    def batches(
        self, size: int, generator: torch.Generator | None = None, ranks: ProcessGroup = SINGLE_PROCESS
    ) -> Iterator[Batch]:
        for indices in _shares(_order(len(self), generator).to(self.device), size, ranks):
            yield self.images[indices], self.labels[indices]

    def take(self, count: int, generator: torch.Generator | None = None) -> "ImageSplit":
        indices = _order(len(self), generator)[:count].to(self.device)
        return ImageSplit(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class StreamedSplit:
    """A split that stays in its file: `workers` processes, each with a handle of its own, read ahead of training.

    Raises ValueError once the file is another one, prepared anew: its images are not those of the labels in memory."""

    path: Path
    split: str
    digest: str
    """Of the set that the file holds."""
    device: torch.device
    workers: int

    def __len__(self) -> int:
        return len(self._labels)

    @cached_property
    def side(self) -> int:
        with self._open() as file:
            return int(file.attrs["side"])

    def batches(
        self, size: int, generator: torch.Generator | None = None, ranks: ProcessGroup = SINGLE_PROCESS
    ) -> Iterator[Batch]:
        self._open().close()
        order = _order(len(self), generator)
        shares = _shares(order, size, ranks)
        labels = _shares(self._labels[order].to(self.device), size, ranks)
        loader: DataLoader[Tensor] = DataLoader(
            _Rows(self.path, self.split),
            batch_sampler=[indices.tolist() for indices in shares if len(indices)],
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else every pass would draw a base seed from the global generator
        )
        read = iter(loader)
        for indices, of_images in zip(shares, labels, strict=True):
            images = next(read) if len(indices) else torch.empty(0, self.side, self.side, 3, dtype=torch.uint8)
            yield images.permute(0, 3, 1, 2).to(self.device, non_blocking=True), of_images

    def take(self, count: int, generator: torch.Generator | None = None) -> ImageSplit:
        self._open().close()
        indices = _order(len(self), generator)[:count]
        rows = _Rows(self.path, self.split)
        images = torch.stack([rows[int(i)] for i in indices]).permute(0, 3, 1, 2)
        return ImageSplit(images.to(self.device), self._labels[indices].to(self.device))

    @cached_property
    def _labels(self) -> Int64[Tensor, " n"]:
        with self._open() as file:
            return torch.from_numpy(file[f"{self.split}/labels"][:])

    def _open(self) -> h5py.File:
        file = h5py.File(self.path)
        if file.attrs["digest"] != self.digest:
            file.close()
            raise ValueError(f"{self.path} was replaced while it was in use: start the same command again")
        return file


class _Rows(Dataset[Tensor]):
    """Single images (side, side, 3); one image is one chunk of the file, so nothing is read twice."""

    def __init__(self, path: Path, split: str) -> None:
        self._path, self._split = path, split
        self._file: h5py.File | None = None

    def __getitem__(self, index: int) -> Tensor:
        if self._file is None:  # in the worker: an open HDF5 file does not survive a fork
            self._file = h5py.File(self._path)
        images: h5py.Dataset = self._file[f"{self._split}/images"]
        pixels = np.empty(images.shape[1:], np.uint8)
        images.read_direct(pixels, np.s_[index])
        return torch.from_numpy(pixels)


def read_split(path: Path, split: str, device: torch.device) -> ImageSplit:
    """A whole split on `device`, its channels last in memory as in the file: so convolutions run fastest, too."""
    with h5py.File(path) as file:
        images = torch.from_numpy(file[f"{split}/images"][:]).permute(0, 3, 1, 2)
        labels = torch.from_numpy(file[f"{split}/labels"][:])
    return ImageSplit(images.to(device), labels.to(device))


def _order(count: int, generator: torch.Generator | None) -> Int64[Tensor, " n"]:
    return torch.arange(count) if generator is None else torch.randperm(count, generator=generator)


def _shares(order: Int64[Tensor, " n"], size: int, ranks: ProcessGroup) -> list[Int64[Tensor, " share"]]:
    """This rank's shard of each batch of `size`, of indices or labels in the epoch's order."""
    return [indices[ranks.share(len(indices)).rows] for indices in torch.split(order, size)]
