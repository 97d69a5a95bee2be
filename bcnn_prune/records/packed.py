"""A network as a file of few bytes."""

from dataclasses import dataclass

from bcnn_prune.records.measures import Evaluation


@dataclass(frozen=True)
class PackedNetwork:
    """A network whose weights share values, stored by Huffman codes, with relative indices where many are zero."""

    bits: int
    """A tensor has at most 2^bits values."""
    file_bytes: int
    nonzero: int
    """Parameters that are not zero."""
    val: Evaluation
    test: Evaluation
    """Of the network that was read back."""
    nonzero_macs: int | None = None
    """Multiply-adds of one image by these parameters; None in records from before they were counted."""
