"""A split of a prepared set as tensors, and the batches of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor


@dataclass(frozen=True)
class ImageSplit:
    """All images of a split in memory as they stand in the file; whoever reads a batch normalises or augments it."""

    images: UInt8[Tensor, "n 3 side side"]
    labels: Int64[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.labels)

    def batches(
        self, size: int, generator: torch.Generator | None = None
    ) -> Iterator[tuple[UInt8[Tensor, "batch 3 side side"], Int64[Tensor, " batch"]]]:
        """Each image once: in the order of the file, or shuffled by a CPU generator. The last batch may be smaller."""
        order = torch.arange(len(self)) if generator is None else torch.randperm(len(self), generator=generator)
        for indices in torch.split(order.to(self.labels.device), size):
            yield self.images[indices], self.labels[indices]

    def take(self, count: int, generator: torch.Generator) -> "ImageSplit":
        """`count` images drawn without replacement, or all of them where there are fewer."""
        indices = torch.randperm(len(self), generator=generator)[:count].to(self.labels.device)
        return ImageSplit(self.images[indices], self.labels[indices])


def read_split(path: Path, split: str, device: torch.device) -> ImageSplit:
    """A whole split on `device`, its channels last in memory as in the file: so convolutions run fastest, too."""
    with h5py.File(path) as file:
        images = torch.from_numpy(file[f"{split}/images"][:]).permute(0, 3, 1, 2)
        labels = torch.from_numpy(file[f"{split}/labels"][:])
    return ImageSplit(images.to(device), labels.to(device))
