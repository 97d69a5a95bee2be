"""A prepared image set, in counts."""

from collections.abc import Mapping
from dataclasses import dataclass

from bcnn_prune.datasets import Kind


@dataclass(frozen=True)
class DatasetInfo:
    """An image set as prepared: the label that everything made from it carries, and what it holds."""

    name: str
    """cars, drawn-cars, cars50: never the official name for anything but the official set."""
    family: str
    """The published set that it is, is a part of, or imitates as a synthetic set; its own name, if none."""
    kind: Kind
    side: int
    """Pixels."""
    class_names: tuple[str, ...]
    images: Mapping[str, int]
    """Number of images by split."""
    per_class: tuple[int, int]
    """Fewest and most images of a class, all splits together."""
    source_widths: tuple[int, int]
    """Narrowest and widest source image, in pixels."""
    source_heights: tuple[int, int]
    digest: str
    """SHA-256 over pixels, labels, ids, splits and class names."""

    @property
    def classes(self) -> int:
        return len(self.class_names)
