"""What every flow does before its first cut: find the images, train the dense network, then the sparse one from it."""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from rich.console import Console

from bcnn_prune.data.batches import Split, StreamedSplit, read_split
from bcnn_prune.data.format import SPLITS
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.model.weights import fresh, from_file, imagenet
from bcnn_prune.protocol import Bench, PhaseWatch, require_learned, trained, unreachable
from bcnn_prune.pruning.schedule import drop_counts
from bcnn_prune.pruning.select import require_possible
from bcnn_prune.records import DatasetInfo, History
from bcnn_prune.spec import ModelSpec
from experiments import images
from experiments.board import BoardWatch
from experiments.estimate import duration
from experiments.progress import TerminalWatch, terminal
from experiments.recipes import Recipes
from experiments.settings import FlowSettings, autocast_for, device_for, recipes_for

SMALLEST_SIDE = 16  # px


@dataclass(frozen=True)
class Start:
    """Where the flows part: a dense and a sparse network, and all that led to them."""

    settings: FlowSettings
    console: Console
    bench: Bench
    info: DatasetInfo
    recipes: Recipes
    dense: BilinearCNN
    sparse: BilinearCNN
    training: dict[str, History]


def begin(settings: FlowSettings, share: float) -> Start:
    """Train the dense and the sparse network, or read them where they were trained before.

    `share` is the share of channels to be cut in all: refused now where the floor does not allow it, and warned of
    where L1 cannot bring as many scales to zero."""
    console = terminal()
    drop_counts(1, share)  # refuses a share that is none before any image is drawn or read
    path, info = images.find(settings.dataset, settings.data, settings.classes, console)
    if info.side < SMALLEST_SIDE:
        raise ValueError(
            f"{path} holds images of {info.side} px: four max-pools need {SMALLEST_SIDE}; prepare it larger"
        )
    recipes, device = recipes_for(settings, info, share), device_for(settings.device)
    spec = ModelSpec.vgg(settings.depth, info.classes, recipes.width)
    require_possible(spec.widths, sum(drop_counts(spec.channels, share)), settings.floor)
    model = _first_weights(recipes.weights, spec, settings.seed).to(device)
    watch: PhaseWatch = TerminalWatch(console)
    if settings.tensorboard:
        watch = BoardWatch(watch, settings.out / "tensorboard" / info.name / settings.name())
    splits = _splits(path, info, device, settings.images)
    bench = Bench(
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        data_digest=info.digest,
        seed=settings.seed,
        folder=settings.out / "phases" / info.name,
        watch=watch,
        autocast=autocast_for(settings.trunk, device),
    )
    cost = total_cost(spec, info.side)
    console.print(
        f"{info.name}: {info.classes} classes, {info.images['train']:,} train, {info.images['val']:,} val and "
        f"{info.images['test']:,} test images at {info.side} px. VGG-{spec.depth} BCNN: {cost.params:,} parameters, "
        f"{cost.macs / 1e9:.3f} G multiply-adds. Training on {device.type}, trunk in {bench.autocast or torch.float32}."
    )
    if device.type == "cpu" and not info.name.startswith("drawn-"):
        console.print(
            f"Training will take about {duration(bench, model, recipes, settings.control)} on this processor."
        )
    if warning := unreachable(model, recipes.sparse, len(bench.train), share):
        console.print(f"[bold]Warning:[/bold] {warning}.")
    dense, dense_history = trained(bench, "dense", model, recipes.dense)
    require_learned(dense_history, info.classes, "dense")
    if not warning and (warning := unreachable(dense, recipes.sparse, len(bench.train), share)):
        console.print(f"[bold]Warning:[/bold] {warning}.")
    sparse, sparse_history = trained(bench, "sparse", dense, recipes.sparse)
    require_learned(sparse_history, info.classes, "sparse")
    training = {"dense": dense_history, "sparse": sparse_history}
    return Start(settings, console, bench, info, recipes, dense, sparse, training)


def _splits(path: Path, info: DatasetInfo, device: torch.device, where: str) -> dict[str, Split]:
    """The splits in memory, or streamed where they would take more than half of what is free on the device."""
    size = sum(info.images.values()) * info.side**2 * 3
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if where == "memory" or (where == "auto" and size <= free / 2):
        return {split: read_split(path, split, device) for split in SPLITS}
    workers = max(1, min(8, (os.cpu_count() or 2) - 1))  # a reader copies 20,000 images a second: few are enough
    return {split: StreamedSplit(path, split, device, workers) for split in SPLITS}


def _first_weights(weights: str, spec: ModelSpec, seed: int) -> BilinearCNN:
    generator = torch.Generator().manual_seed(seed)
    if weights == "none":
        return fresh(spec, generator)
    if weights == "imagenet":
        return imagenet(spec, generator)
    return from_file(Path(weights), spec, generator)
