"""Preparation of a run: its images, device and cache, and the checks before anything is trained."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.text import Text

from bcnn_prune.data.format import describe
from bcnn_prune.distributed import T
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.execution import Execution
from bcnn_prune.layers import Norm
from bcnn_prune.model.init import at_own_widths, fresh, pretrained
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.phase import RunCallback, RunContext
from bcnn_prune.pruning.narrow import with_narrowed_trunk
from bcnn_prune.pruning.ranking import drop_counts, require_possible
from bcnn_prune.records import DatasetInfo
from bcnn_prune.spec import ModelSpec
from experiments.run import datasets
from experiments.run.console import TerminalCallback, terminal
from experiments.run.device import autocast_for, device_for, read_splits
from experiments.run.distributed import join_process_group
from experiments.run.flow import Flow, Initial, known, phases_to
from experiments.run.settings import FlowSettings
from experiments.run.tensorboard import TensorBoardCallback

FEW_IMAGES = 20


@dataclass(frozen=True)
class Run:
    """Images, cache and device of a process that trains, and its console."""

    console: Console
    context: RunContext
    info: DatasetInfo

    def first_weights(self, spec: ModelSpec, weights: str, narrow: bool = False) -> BilinearCNN:
        """An untrained network on the device: imagenet, tiny, none, or a file, with `narrow` cut to the widths."""
        generator = torch.Generator().manual_seed(self.context.seed)

        def made() -> BilinearCNN:
            if weights == "none":
                return fresh(spec, generator)
            if not narrow:
                return pretrained(weights, spec, generator)
            wide = pretrained(weights, at_own_widths(weights, spec), torch.Generator().manual_seed(0))
            return with_narrowed_trunk(fresh(spec, generator), wide)

        return self.on_rank_zero(made).to(self.context.train.device)

    def on_rank_zero(self, make: Callable[[], T]) -> T:
        """The result of `make`, which rank 0 calls for all."""
        return self.context.execution.ranks.on_rank_zero(make)


def prepare_run(settings: FlowSettings) -> Run:
    """Find the images and the recipes. Trains nothing; raises ValueError for what could not be trained."""
    console, device = terminal(), device_for(settings.device)
    ranks = join_process_group(device)
    path, info = ranks.on_rank_zero(
        lambda: datasets.find_dataset(settings.dataset, settings.data, settings.classes, console)
    )
    if ranks.rank and describe(path) != info:
        raise ValueError(f"{path} holds other images here than on the machine of rank 0: copy that one's")
    settings = settings.on(info)
    callback: RunCallback = TerminalCallback(console)
    if settings.tensorboard and ranks.rank == 0:
        callback = TensorBoardCallback(callback, settings.out / "tensorboard" / info.name)
    require_trainable(settings, info)
    splits = read_splits(path, info, device, settings.data_cache)
    context = RunContext(
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        data_digest=info.digest,
        seed=settings.seed,
        folder=settings.out / "phases" / info.name,
        callback=callback,
        execution=Execution(autocast_for(settings.precision, device), ranks),
    )
    spec = settings.unpruned(info)
    ranks.on_rank_zero(lambda: settings.check_network(spec, info.side))
    cost = total_cost(spec, info.side)
    console.print(
        f"{info.name}: {info.classes} classes, {info.images['train']:,} train, {info.images['val']:,} val and "
        f"{info.images['test']:,} test images at {info.side} px. {spec.title}: {cost.params:,} "
        f"parameters, {cost.macs / 1e9:.3f} G multiply-adds. Training on {device.type}"
        f"{f' by {ranks.world} processes, BN statistics {ranks.batch_norm}' if ranks.world > 1 else ''}, trunk in "
        f"{context.execution.autocast or torch.float32}."
    )
    if warning := of_few_images(info):
        console.print(Text("Warning:", "bold"), f"{warning}.")
    return Run(console, context, info)


def of_few_images(info: DatasetInfo) -> str | None:
    """A warning, where a single image of val or of test is worth more than 5 points of accuracy."""
    fewest = min(info.images["val"], info.images["test"])
    if fewest >= FEW_IMAGES:
        return None
    return (
        f"{info.images['val']} val and {info.images['test']} test images: a single one is worth up to "
        f"{100 / fewest:.0f} points of accuracy, so no choice or comparison can rest on them. Take more images"
    )


def require_trainable(settings: FlowSettings, info: DatasetInfo) -> None:
    """Raise ValueError, before anything is trained, for settings that these images or this network do not allow."""
    spec, cutting = settings.unpruned(info), settings.cutting()
    if cutting.recalibrate == 1 and normalises_single_values(spec, info.side):
        raise ValueError(f"--recalibrate is 1: at {info.side} px the last maps are 1 × 1; take 2 images or more, or 0")
    require_possible(spec.width_of, sum(drop_counts(spec.channels, cutting.share)), cutting.fewest(spec))


def require_trainable_phases(flow: Flow, info: DatasetInfo, world: int = 1) -> None:
    """Raise ValueError for images that do not allow one of the flow's networks, a teacher or another backbone too."""
    for phase in flow.phases:
        start, recipe = phases_to(phase)[0].start, known(phase.recipe)
        if isinstance(start, Initial) and recipe.trains == "all":
            require_statistics(known(start.spec), info, recipe.batch, world)


def require_statistics(spec: ModelSpec, info: DatasetInfo, batch: int, world: int) -> None:
    """Raise ValueError where BN would have a single value to normalise: maps of 1 × 1 of a single image.

    Refused before anything is trained; torch would say so in the midst of an epoch."""
    if not normalises_single_values(spec, info.side):
        return
    count = info.images["train"]
    for size in (min(batch, count), count % batch):
        if 0 < size < 2 * world:
            raise ValueError(
                f"at {info.side} px the last maps of {spec.title} are 1 × 1, and a batch of {size} of {count:,} "
                "training images leaves BatchNorm a single value: take another --batch, or larger images"
            )


def normalises_single_values(spec: ModelSpec, side: int) -> bool:
    """Whether a BN of the network has maps of 1 × 1 to normalise, so a single value of each image."""
    return any(step.y.side == 1 for step in spec.steps(side) if isinstance(step.layer, Norm))
