"""The context of a run on a few random images."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from bcnn_prune.data.batches import Batch, ImageSplit
from bcnn_prune.phase import RunContext
from experiments.run.console import TerminalCallback
from tests.helpers.strategies import SIDE


class OnlyCounted(ImageSplit):
    """Images that may be evaluated on, and nothing else."""

    def take(self, count: int, generator: torch.Generator | None = None) -> Batch:
        pytest.fail("only training images are for scores, repair and BN statistics")


def context(folder: Path, **changes: Any) -> RunContext:
    """40 images to train on, 9 and 12 to count on, of three classes."""

    def split(kind: type[ImageSplit], count: int, seed: int) -> ImageSplit:
        generator = torch.Generator().manual_seed(seed)
        images = torch.randint(256, (count, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
        return kind(images, torch.arange(count) % 3)

    splits = split(ImageSplit, 40, 0), split(OnlyCounted, 9, 1), split(OnlyCounted, 12, 2)
    return replace(RunContext(*splits, "digest", 0, folder, TerminalCallback(Console(quiet=True))), **changes)
