"""Execution: the number format of the trunk, and the processes that share the work."""

from dataclasses import dataclass

import torch

from bcnn_prune.distributed import SINGLE_PROCESS, ProcessGroup


@dataclass(frozen=True)
class Execution:
    """Ways to compute a network. They change results by no more than rounding, but for BatchNorm over several ranks."""

    autocast: torch.dtype | None = None
    """Number format of the trunk; None for the weights' own."""
    ranks: ProcessGroup = SINGLE_PROCESS


PLAIN = Execution()
"""In the weights' own number format, by one process."""
