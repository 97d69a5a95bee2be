"""Torch as a runtime, and a checkpoint as its file."""

from pathlib import Path

import torch
from torch import nn

from bcnn_prune.deployment.fold import folded
from bcnn_prune.deployment.pixels import FromPixels
from bcnn_prune.deployment.runtime import LoadedModel, Logits, Pixels, Runtime
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.checkpoint import load
from bcnn_prune.model.network import BilinearCNN


def read_checkpoint(path: Path) -> tuple[BilinearCNN, ModelCard]:
    """The network of a checkpoint, ready to evaluate on the CPU, and its description without that of its pruning."""
    model, info = load(path)
    return model.eval(), info.card


def torch_runtime(network: nn.Module, card: ModelCard, threads: int) -> Runtime:
    """`network` eager in fp32. torch has one number of threads a process: this sets it."""
    torch.set_num_threads(threads)
    from_pixels = FromPixels(network, card.mean, card.std).eval()

    @torch.inference_mode()
    def run(batch: Pixels) -> Logits:
        logits: Logits = from_pixels(torch.from_numpy(batch)).numpy()
        return logits

    return run


def open_eager(path: Path, threads: int) -> LoadedModel:
    """A checkpoint in torch, layer by layer. Sets torch's number of threads, of which a process has one."""
    model, card = read_checkpoint(path)
    return LoadedModel(torch_runtime(model, card, threads), card)


def open_folded(path: Path, threads: int) -> LoadedModel:
    """A checkpoint in torch, folded as it is read, in channels-last layout. Sets torch's number of threads, of which a
    process has one."""
    model, card = read_checkpoint(path)
    return LoadedModel(torch_runtime(folded(model), card, threads), card)
