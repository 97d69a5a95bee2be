"""Any iterable of (images, labels) batches as a split: a DataLoader, or a list of batches."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from bcnn_prune.data.batches import Batch, ImageSplit, Split
from bcnn_prune.distributed import SINGLE_PROCESS, ProcessGroup
from bcnn_prune.spec import ModelSpec

LabelledBatches = Iterable[Sequence[Tensor]]
"""Images (batch, 3, h, w) and labels (batch), the numbers of classes. uint8 images are normalised, and in training
augmented; float32 images are taken as they are, and `save` and `export` are told what they were normalised by."""


def as_split(batches: Split | LabelledBatches, spec: ModelSpec, device: torch.device) -> Split:
    """`batches` itself if it is a split, else one for the network `spec` that reads it anew in every pass, on `device`.

    Raises ValueError for an iterator, which can be read only once."""
    if isinstance(batches, Split):
        return batches
    if isinstance(batches, Iterator):
        raise ValueError("an iterator of batches can be read only once: give a DataLoader, or a list of batches")
    return LoaderSplit(batches, spec, device)


def checked(batch: Sequence[Tensor], spec: ModelSpec) -> Batch:
    """The images and labels of a batch. Raises ValueError unless they are what the network `spec` can be trained on."""
    if len(batch) != 2 or not all(isinstance(part, Tensor) for part in batch):
        kinds = ", ".join(type(part).__name__ for part in batch)
        raise ValueError(f"a batch holds {kinds}: take a tensor of images and one of labels")
    images, labels = batch
    require_images(images, spec)
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(f"labels are {labels.dtype}: take the numbers of classes, int64")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"labels of shape {tuple(labels.shape)} do not fit {len(images)} images: take one for each")
    lowest, highest = (int(labels.min()), int(labels.max())) if len(labels) else (0, 0)
    if lowest < 0 or highest >= spec.classes:
        raise ValueError(f"labels are {lowest} to {highest}: take 0 to {spec.classes - 1}, the numbers of classes")
    return images, labels.long()


def require_images(images: Tensor, spec: ModelSpec) -> None:
    """Raise ValueError unless the network `spec` takes these images: uint8 or float32, (batch, channels, h, w)."""
    if images.dim() != 4 or images.shape[1] != spec.image_channels:
        raise ValueError(
            f"images are of shape {tuple(images.shape)}: take (batch, {spec.image_channels}, height, width)"
        )
    if images.dtype not in (torch.uint8, torch.float32):
        raise ValueError(f"images are {images.dtype}: take uint8, or normalised float32")
    for side in images.shape[2:]:
        _require_side(spec, side)


@lru_cache
def _require_side(spec: ModelSpec, side: int) -> None:
    """`spec.require_side`, once for all batches."""
    spec.require_side(side)


@dataclass(frozen=True)
class LoaderSplit:
    """LabelledBatches in the size and order in which their loader gives them."""

    loader: LabelledBatches
    spec: ModelSpec
    """The network that the batches are for."""
    device: torch.device

    def __len__(self) -> int:
        return sum(self.sizes)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Images of each batch, from the last whole pass, or counted in one. Raises ValueError where there are none."""
        sizes = tuple(len(checked(batch, self.spec)[1]) for batch in self.loader)
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
        images, *_ = next(iter(self.loader))
        return images.shape[-1]

    def batches(
        self, size: int, generator: torch.Generator | None = None, ranks: ProcessGroup = SINGLE_PROCESS
    ) -> Iterator[Batch]:
        """The loader's own batches, whatever `size` and `generator` say. Raises ValueError for several ranks, and for a
        batch that the network cannot be trained on."""
        if ranks.world > 1:
            raise ValueError("a loader's batches cannot be shared between ranks: prepare the set as HDF5")
        sizes = []
        for images, labels in (checked(batch, self.spec) for batch in self.loader):
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
