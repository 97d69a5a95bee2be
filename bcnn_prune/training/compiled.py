"""torch.compile for training steps, where it pays: on one GPU, in long phases."""

from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor

from bcnn_prune.data.batches import Split
from bcnn_prune.distributed import ProcessGroup
from bcnn_prune.model.network import Trainable
from bcnn_prune.records import Recipe

BatchLosses = Callable[..., tuple[Tensor, Tensor, Tensor]]
COMPILE_FROM = 4_400
"""Steps that win back the 28 s of compiling: 6.4 of 24.7 ms a step at batch 48 (results/throughput/README.md)."""
GRAPH_BELOW = 370e9
"""Multiply-adds of a batch, forwards, whose step takes as long as a GPU waits for its kernels to start: 12.3 ms, where
743e9 take 24.7 ms (the same page)."""


def compiled(
    batch_losses: BatchLosses, model: Trainable, recipe: Recipe, train: Split, ranks: ProcessGroup
) -> BatchLosses | None:
    """`batch_losses` by torch.compile, for batches of the recipe's size: a smaller one would be compiled anew.

    None where that does not pay, in phases of fewer than COMPILE_FROM whole batches, or where Triton is missing."""
    steps = recipe.epochs * (len(train) // recipe.batch)
    if train.device.type != "cuda" or ranks.world > 1 or steps < COMPILE_FROM or find_spec("triton") is None:
        return None
    return compile_for(batch_losses, recipe.batch * model.macs(train.side))


def compile_for(batch_losses: BatchLosses, macs: int) -> BatchLosses:
    """`batch_losses` by torch.compile, for batches of one size, which take so many multiply-adds forwards.

    On a GPU a step below GRAPH_BELOW is replayed as CUDA graphs, forwards and backwards: what it returns lies in memory
    that the next step overwrites, and so do its gradients."""
    torch.compiler.reset()  # what was compiled before counts against a limit
    mode = "reduce-overhead" if macs < GRAPH_BELOW else "default"
    faster: BatchLosses = torch.compile(batch_losses, fullgraph=True, dynamic=False, mode=mode)
    return faster
