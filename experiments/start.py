"""What every flow does before its first cut: find the images, train the dense network, then the sparse one from it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import torch
from rich.console import Console
from rich.text import Text

from bcnn_prune.data.batches import Split, StreamedSplit, read_split
from bcnn_prune.data.format import SPLITS, describe
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.model.weights import fresh, from_file, imagenet
from bcnn_prune.protocol import Bench, PhaseWatch, Trained, require_learned, trained, unreachable
from bcnn_prune.pruning.schedule import drop_counts
from bcnn_prune.pruning.select import require_possible
from bcnn_prune.records import DatasetInfo, Recipe
from bcnn_prune.spec import ModelSpec
from experiments import images
from experiments.board import BoardWatch
from experiments.estimate import in_words, seconds
from experiments.progress import TerminalWatch, terminal
from experiments.recipes import Recipes
from experiments.settings import FlowSettings, autocast_for, device_for, recipes_for
from experiments.torchrun import joined, processes_here

SMALLEST_SIDE = 16  # px


@dataclass(frozen=True)
class Start:
    """Where the flows part: the images, the recipes, and the networks that were trained so far, by name."""

    settings: FlowSettings
    console: Console
    bench: Bench
    info: DatasetInfo
    recipes: Recipes
    networks: Mapping[str, Trained] = field(default_factory=dict)

    @property
    def sparse(self) -> BilinearCNN:
        """What is cut."""
        return self.networks["sparse"].model

    def spec(self) -> ModelSpec:
        """The unpruned network of the settings."""
        return ModelSpec.vgg(self.settings.depth, self.info.classes, self.recipes.width)

    def first_weights(self, spec: ModelSpec, weights: str) -> BilinearCNN:
        """An untrained network on the device: imagenet, none, or a file."""
        generator = torch.Generator().manual_seed(self.settings.seed)

        def made() -> BilinearCNN:
            if weights == "none":
                return fresh(spec, generator)
            if weights == "imagenet":
                return imagenet(spec, generator)
            return from_file(Path(weights), spec, generator)

        return self.bench.ranks.told(made).to(self.bench.train.device)

    def train(self, name: str, model: BilinearCNN, recipe: Recipe) -> "Start":
        """With one network more: a trained copy of `model`, or what was trained before."""
        return replace(self, networks={**self.networks, name: trained(self.bench, name, model, recipe)})


def set_up(settings: FlowSettings) -> Start:
    """Find the images and the recipes. Trains nothing; raises ValueError for what could not be trained."""
    console, device = terminal(), device_for(settings.device)
    ranks = joined(device)
    path, info = ranks.told(lambda: images.find(settings.dataset, settings.data, settings.classes, console))
    if ranks.rank and describe(path) != info:
        raise ValueError(f"{path} holds other images here than on the machine of rank 0: copy that one's")
    recipes = recipes_for(settings, info)
    watch: PhaseWatch = TerminalWatch(console)
    if settings.tensorboard and ranks.rank == 0:
        watch = BoardWatch(watch, settings.out / "tensorboard" / info.name / settings.name(info))
    require_trainable(settings, info, recipes, ranks.world)
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
        ranks=ranks,
    )
    start = Start(settings, console, bench, info, recipes)
    cost = total_cost(start.spec(), info.side)
    console.print(
        f"{info.name}: {info.classes} classes, {info.images['train']:,} train, {info.images['val']:,} val and "
        f"{info.images['test']:,} test images at {info.side} px. VGG-{settings.depth} BCNN: {cost.params:,} "
        f"parameters, {cost.macs / 1e9:.3f} G multiply-adds. Training on {device.type}"
        f"{f' by {ranks.world} processes, BN statistics {ranks.batch_norm}' if ranks.world > 1 else ''}, trunk in "
        f"{bench.autocast or torch.float32}."
    )
    return start


def require_trainable(settings: FlowSettings, info: DatasetInfo, recipes: Recipes, world: int = 1) -> None:
    """Raise ValueError, before anything is trained, for a run that these images or this network do not allow."""
    if info.side < SMALLEST_SIDE:
        raise ValueError(
            f"{info.name} has images of {info.side} px: four max-pools need {SMALLEST_SIDE}; prepare it larger"
        )
    require_statistics(settings, info, recipes, world)
    spec, cutting = ModelSpec.vgg(settings.depth, info.classes, recipes.width), settings.cutting()
    require_possible(spec.widths, sum(drop_counts(spec.channels, cutting.share)), cutting.floor)


def require_statistics(settings: FlowSettings, info: DatasetInfo, recipes: Recipes, world: int) -> None:
    """Raise ValueError where BN would have a single value to normalise: maps of 1 × 1 of a single image.

    Refused before anything is trained; torch would say so in the midst of an epoch."""
    if info.side >= 2 * SMALLEST_SIDE:
        return
    count = info.images["train"]
    for recipe in (recipes.dense, recipes.sparse, recipes.fine_tune, recipes.soft):
        for size in (min(recipe.batch, count), count % recipe.batch):
            if 0 < size < 2 * world:
                raise ValueError(
                    f"at {info.side} px the last maps are 1 × 1, and a batch of {size} of {count:,} training images "
                    "leaves BatchNorm a single value: take another --batch, or images of 32 px and more"
                )
    if settings.cutting().recalibrate == 1:
        raise ValueError(f"--recalibrate is 1: at {info.side} px the last maps are 1 × 1; take 2 images or more, or 0")


def begin(start: Start, tunings: int = 1) -> Start:
    """Train the dense and the sparse network, or read them where they were trained before.

    Warns where L1 cannot bring as many scales to zero as will be cut. `tunings` is how often the flow fine-tunes, for
    the time it tells."""
    bench, recipes, spec, console = start.bench, start.recipes, start.spec(), start.console
    share = start.settings.cutting().share
    model = start.first_weights(spec, recipes.weights)
    if bench.train.device.type == "cpu" and start.info.kind != "synthetic":
        phases = [recipes.dense, recipes.sparse] + [recipes.fine_tune] * tunings
        console.print(f"Training will take about {in_words(seconds(bench, model, phases))} on this processor.")
    if warning := unreachable(model, recipes.sparse, len(bench.train), share):
        console.print(Text("Warning:", "bold"), f"{warning}.")
    start = start.train("dense", model, recipes.dense)
    dense = start.networks["dense"]
    require_learned(dense.history, start.info.classes, "dense")
    if not warning and (warning := unreachable(dense.model, recipes.sparse, len(bench.train), share)):
        console.print(Text("Warning:", "bold"), f"{warning}.")
    start = start.train("sparse", dense.model, recipes.sparse)
    require_learned(start.networks["sparse"].history, start.info.classes, "sparse")
    return start


def _splits(path: Path, info: DatasetInfo, device: torch.device, where: str) -> dict[str, Split]:
    """The splits in memory, or streamed where they would take more than half of what is free on the device.

    In memory, every process holds all images: the order of an epoch may call any of them to any share."""
    size = sum(info.images.values()) * info.side**2 * 3
    on_gpu, processes = device.type == "cuda", processes_here()
    free = torch.cuda.mem_get_info(device)[0] if on_gpu else psutil.virtual_memory().available / processes
    if where == "memory" or (where == "auto" and size <= free / 2):
        return {split: read_split(path, split, device) for split in SPLITS}
    workers = max(
        1, min(8, (os.cpu_count() or 2) // processes - 1)
    )  # a reader copies 20,000 images a second: few are enough
    return {split: StreamedSplit(path, split, device, workers) for split in SPLITS}
