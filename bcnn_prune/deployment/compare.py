"""Count on images what becomes of a network in another runtime or number format."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int64

from bcnn_prune.data.batches import Split
from bcnn_prune.deployment.runtime import Logits, Pixels, Runtime, require_finite
from bcnn_prune.records import Evaluation
from bcnn_prune.records.deploy import VariantReport


def pixel_batches(split: Split, size: int) -> Iterator[tuple[Pixels, Int64[np.ndarray, " batch"]]]:
    """The images of a split, in order, as runtimes take them, and their labels."""
    for images, labels in split.batches(size):
        yield images.permute(0, 2, 3, 1).contiguous().cpu().numpy(), labels.cpu().numpy()


def logits_of(run: Runtime, split: Split, batch: int = 64) -> Logits:
    """The logits of every image of a split, in order. Raises ValueError where they are not finite."""
    logits = np.concatenate([run(pixels) for pixels, _ in pixel_batches(split, batch)])
    require_finite(logits, "the logits of test images")
    return logits


def labels_of(split: Split) -> Int64[np.ndarray, " images"]:
    """The labels of every image of a split, in order."""
    return np.concatenate([labels.cpu().numpy() for _, labels in split.batches(1024)])


def compare_logits(found: Logits, original: Logits, labels: Int64[np.ndarray, " batch"], size: int) -> VariantReport:
    """Compare logits of the same images; `size` in bytes is taken over."""
    classes, named = found.argmax(1), original.argmax(1)
    return VariantReport(
        bytes=size,
        test=Evaluation(images=len(labels), correct=int((classes == labels).sum())),
        agreeing=int((classes == named).sum()),
        largest_difference=float(np.abs(found - original).max() / np.abs(original).max()),
    )
