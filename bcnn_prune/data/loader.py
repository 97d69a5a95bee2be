"""Any iterable of (images, labels) batches as a split: a DataLoader, or a list of batches."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from bcnn_prune.data.batches import Batch, ImageSplit, Split
from bcnn_prune.distributed import SINGLE_PROCESS, ProcessGroup

LabelledBatches = Iterable[Sequence[Tensor]]
"""Images (batch, 3, h, w) and int64 labels (batch). uint8 images are normalised, and in training augmented;
floating-point images are taken as they are."""


def as_split(batches: Split | LabelledBatches, device: torch.device) -> Split:
    """`batches` itself if it is a split, else one that reads it anew in every pass, on `device`.

    Raises ValueError for an iterator, which can be read only once."""
    if isinstance(batches, Split):
        return batches
    if isinstance(batches, Iterator):
        raise ValueError("an iterator of batches can be read only once: give a DataLoader, or a list of batches")
    return LoaderSplit(batches, device)


@dataclass(frozen=True)
class LoaderSplit:
    """LabelledBatches in the size and order in which their loader gives them."""

    loader: LabelledBatches
    device: torch.device

    def __len__(self) -> int:
        return sum(self.sizes)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Images of each batch, from the last whole pass, or counted in one. Raises ValueError where there are none."""
        sizes = tuple(len(labels) for _, labels in self.loader)
        if not sum(sizes):
            raise ValueError("the loader gives no image")
        return sizes

    @cached_property
    def batch(self) -> int:
        """The size of all batches but the last. Raises ValueError where they differ: a step's loss is a mean."""
        size, *_ = self.sizes
        if any(other != size for other in self.sizes[:-1]) or self.sizes[-1] > size:
            raise ValueError(f"batches of {min(self.sizes)} to {max(self.sizes)} images: only the last may be smaller")
        return size

    @cached_property
    def side(self) -> int:
        images, _ = next(iter(self.loader))
        return images.shape[-1]

    def batches(
        self, size: int, generator: torch.Generator | None = None, ranks: ProcessGroup = SINGLE_PROCESS
    ) -> Iterator[Batch]:
        """The loader's own batches, whatever `size` and `generator` say. Raises ValueError for several ranks, and for
        labels that are no integers."""
        if ranks.world > 1:
            raise ValueError("a loader's batches cannot be shared between ranks: prepare the set as HDF5")
        sizes = []
        for images, labels in self.loader:
            if labels.is_floating_point():
                raise ValueError(f"labels are {labels.dtype}: take the numbers of classes, int64")
            sizes.append(len(labels))
            yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
        if sum(sizes):  # a whole pass was made: the length needs none of its own
            self.__dict__["sizes"] = tuple(sizes)

    def take(self, count: int, generator: torch.Generator | None = None) -> ImageSplit:
        """The first `count` images, or so many drawn without replacement, for which all are read."""
        taken, seen = list[Batch](), 0
        for batch in self.batches(1):
            taken.append(batch)
            seen += len(batch[1])
            if generator is None and seen >= count:
                break
        images, labels = zip(*taken, strict=True)
        return ImageSplit(torch.cat(images), torch.cat(labels)).take(count, generator)
