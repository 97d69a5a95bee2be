"""Training steps by torch.compile beside eager ones: are the losses equal, and how much faster is it?

    python -m experiments.measure.compiled_steps
    python -m experiments.measure.compiled_steps --width 1 --side 224 --batch 128     # a GPU at full width

The first takes 75 s on an idle core, eleven minutes with --bf16 where that is emulated. A network with fresh weights
takes the first steps of a sparse phase on drawn cars, from the same images, draws and weights: eager and compiled, in
fp32 and, where the machine has it or --bf16 asks for it, in bf16. Prints the largest difference between their losses,
beside that between bf16 and fp32, both eager; then images per second of both ways, in turn. On a GPU this is the step
that long phases train by; on a CPU no phase is compiled. Losses and timings of all steps go to runs/throughput. Needs a
C++ compiler, which torch calls."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from rich.table import Table

from bcnn_prune.command_line.check import at_least, more_than
from bcnn_prune.data.batches import ImageSplit
from bcnn_prune.execution import Execution
from bcnn_prune.files import json_text, require_same_settings, require_writable, write_text
from bcnn_prune.model.init import fresh
from bcnn_prune.model.network import Trainable
from bcnn_prune.pruning.sparsity import ScaleL1
from bcnn_prune.records import EpochStats
from bcnn_prune.spec import ModelSpec
from bcnn_prune.training.compiled import BatchLosses, compile_for
from bcnn_prune.training.fit import batch_losses, train_one_epoch
from bcnn_prune.training.state import TrainingState
from data_prep.synthetic import families
from experiments.recipes import recipes_of
from experiments.run import cli
from experiments.run.console import terminal
from experiments.run.device import autocast_for, device_for
from experiments.run.provenance import provenance

EAGER, COMPILED = "eager", "compiled"
FORMATS: Mapping[str, torch.dtype | None] = {"fp32": None, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Settings:
    width: float = 0.25
    """Channels of every layer as a multiple of VGG-16's."""
    side: int = 64
    """Pixels."""
    batch: int = 16
    """Images per step."""
    classes: int = 50
    steps: int = 50
    """Steps whose losses are compared, and steps of a timed round."""
    rounds: int = 3
    """Timed rounds of each network, after these."""
    bf16: bool = False
    """Compare bf16 also where the machine only emulates it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    out: Path = Path("runs/throughput")
    """Folder of the losses and timings."""


class Silent:
    """A TrainingCallback that does nothing."""

    def on_batch(self, done: int, total: int) -> None: ...

    def on_epoch(self, stats: EpochStats, epochs: int, model: Trainable) -> None: ...


@dataclass
class Way:
    """A network that is trained in one number format, eager or compiled."""

    state: TrainingState
    execution: Execution
    losses_of: BatchLosses | None
    """The compiled loss; None to compute it eagerly."""

    def train(self, images: ImageSplit, seed: int) -> float:
        """Train on the images once, and return their mean loss."""
        draws = torch.Generator().manual_seed(seed)
        net = self.state.model
        return train_one_epoch(net, images, self.state, draws, Silent(), self.execution, self.losses_of)[0]


def way(settings: Settings, number_format: str, how: str, device: torch.device) -> Way:
    """A way to train, before its first step: all begin with the same weights."""
    spec = ModelSpec.of("vgg16", settings.classes, settings.width)
    model = fresh(spec, torch.Generator().manual_seed(0)).to(device).to(memory_format=torch.channels_last)
    recipe = replace(recipes_of("small", "cars").sparse, epochs=1, batch=settings.batch)
    state = TrainingState.start(model, recipe, ScaleL1.of(model, recipe), settings.steps * settings.batch)
    macs = settings.batch * model.macs(settings.side)
    losses_of = compile_for(batch_losses, macs) if how == COMPILED else None
    return Way(state, Execution(FORMATS[number_format]), losses_of)


def drawn_images(settings: Settings, device: torch.device) -> ImageSplit:
    """The images of all steps, as the synthetic sets have them."""
    _, examples = families.examples("cars", settings.classes, seed=0)
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0)).tolist()
    wanted = settings.steps * settings.batch
    chosen = [examples[order[place % len(order)]] for place in range(wanted)]
    pixels = torch.from_numpy(np.stack([example.read(settings.side) for example in chosen]))
    labels = torch.tensor([example.label for example in chosen])
    return ImageSplit(pixels.permute(0, 3, 1, 2).contiguous().to(device), labels.to(device))


def losses(made: Way, images: ImageSplit, settings: Settings) -> list[float]:
    """The mean loss of each step."""
    parts = [slice(step * settings.batch, (step + 1) * settings.batch) for step in range(settings.steps)]
    return [made.train(ImageSplit(images.images[part], images.labels[part]), part.start) for part in parts]


def main(settings: Settings) -> None:
    at_least(1, batch=settings.batch, steps=settings.steps, rounds=settings.rounds)
    at_least(16, side=settings.side)
    at_least(2, classes=settings.classes)
    more_than(0, width=settings.width)
    device, console = device_for(settings.device), terminal()
    name = f"compiled-side{settings.side}-width{settings.width:g}-batch{settings.batch}-{device.type}.json"
    path = settings.out / name
    require_writable(path, "--out")
    told = {name: value for name, value in vars(settings).items() if name != "out"}
    require_same_settings(path, {"settings": told}, "--out")
    both = settings.bf16 or autocast_for("auto", device) is not None
    formats = [name for name in FORMATS if both or name == "fp32"]
    images = drawn_images(settings, device)
    ways = {f"{name}, {how}": way(settings, name, how, device) for name in formats for how in (EAGER, COMPILED)}
    curves = {}
    for name, made in ways.items():
        start = time.perf_counter()
        curves[name] = losses(made, images, settings)
        first, last = curves[name][0], curves[name][-1]
        console.print(f"{name}: loss {first:.3f} to {last:.3f} in {time.perf_counter() - start:.0f} s")
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(settings.rounds):
        for name, made in ways.items():
            start = time.perf_counter()
            made.train(images, turn)  # ends by reading the mean loss: nothing is left to be computed
            speeds[name].append(len(images) / (time.perf_counter() - start))
    console.print(table(curves, speeds, settings))
    found = {"settings": told, "losses": curves, "images_per_second": speeds, "provenance": provenance(device, None)}
    write_text(path, json_text(found))
    console.print(f"Written to {path}")


def table(curves: Mapping[str, list[float]], speeds: Mapping[str, list[float]], settings: Settings) -> Table:
    """One row per way."""
    rows = Table(title=f"{settings.steps} training steps, {settings.side} px, batch {settings.batch}")
    rows.add_column("way")
    for column in ("last loss", "largest difference", "from", "images/s", "× eager (rounds)"):
        rows.add_column(column, justify="right")
    for name, curve in curves.items():
        number_format, how = name.split(", ")
        other = f"{number_format if how == COMPILED else 'fp32'}, {EAGER}"
        apart = np.abs(np.subtract(curve, curves[other])).max()
        ratios = np.divide(speeds[name], speeds[f"{number_format}, {EAGER}"])
        rows.add_row(
            name,
            f"{curve[-1]:.4f}",
            "–" if other == name else f"{apart:.1e}",
            "–" if other == name else other,
            f"{np.median(speeds[name]):,.0f}",
            "1" if how == EAGER else f"{np.median(ratios):.2f} ({ratios.min():.2f}–{ratios.max():.2f})",
        )
    return rows


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written")
