"""Networks of one cost that were selected by different rules from one sparse network."""

import base64
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from bcnn_prune.records.measures import Cost, Evaluation
from bcnn_prune.spec import ModelSpec

Bits = str
"""Which images of a split a network is right on, in the order of the file: a bit each, packed, in base64."""
Flags = Bool[np.ndarray, " images"]


def pack(flags: Flags) -> Bits:
    """The flags as text: 8 images a byte, the first in its highest bit."""
    return base64.b64encode(np.packbits(flags).tobytes()).decode("ascii")


def unpack(bits: Bits, images: int) -> Flags:
    """The flags of so many images. Raises ValueError for a text that holds another number of bytes."""
    held = np.frombuffer(base64.b64decode(bits, validate=True), np.uint8)
    if len(held) != -(-images // 8):
        raise ValueError(f"{len(held)} bytes are no bits of {images} images")
    return np.unpackbits(held, count=images).astype(bool)


def agree(bits: Bits, evaluation: Evaluation) -> bool:
    """True where the bits are of as many images as were evaluated, and as many of them are correct."""
    try:
        return int(unpack(bits, evaluation.images).sum()) == evaluation.correct
    except ValueError:
        return False


@dataclass(frozen=True)
class ComparedNetwork:
    """A network by one way to select it, at one budget, trained as long as all others of its record."""

    selection: str
    """The way: a name of experiments.equal_cost."""
    keep_macs: float | None
    """The budget: the share of the unpruned network's multiply-adds that was allowed. `cost` is what was met. None
    where milliseconds were limited."""
    spec: ModelSpec
    cost: Cost
    before: Evaluation | None
    """Test counts before fine-tuning, BN statistics recomputed; None for a network that was trained from the start."""
    val: Evaluation
    """Of the epoch that was kept."""
    test: Evaluation
    correct: Bits
    """Of the test images."""
    keep_ms: float | None = None
    """The budget in time: the share of the milliseconds that the unpruned network's int8 file took on the machine of
    the run. None where multiply-adds were limited."""

    @property
    def budget(self) -> str:
        """The limit in words."""
        if self.keep_macs is None:
            return f"{self.keep_ms:.12g} of the milliseconds"
        return f"{self.keep_macs:.12g} of the multiply-adds"
