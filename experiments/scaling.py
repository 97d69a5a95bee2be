"""What the whole grid of runs costs: measured here, extrapolated to GPUs, and how it grows.

    python -m experiments.scaling

trains a few steps of networks of several widths, on images of several sides, in batches of several sizes, in some four
minutes on two cores; fits seconds an image = a + b × multiply-adds; says how well that foretells the points it was not
fitted to; and works out the chapter on the drawn sets, the subsets and the full sets: on this machine, and on GPUs of
an assumed speed. Points go to runs/scaling/scaling.json as they are measured, and tables to scaling.md in the end.
--points results/scaling/scaling.json takes the points from there and measures nothing."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from rich.console import Console

from bcnn_prune.data.batches import ImageSplit
from bcnn_prune.evaluation.accuracy import evaluate
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.files import json_text, write_text
from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.model.weights import fresh
from bcnn_prune.pruning.sparsity import ScaleL1
from bcnn_prune.records import EpochStats, Evaluation
from bcnn_prune.spec import ModelSpec
from bcnn_prune.training.fit import fit
from command_line.check import at_least, more_than
from experiments import cli
from experiments.grid_cost import GRIDS, Machine, bill, gpus
from experiments.progress import terminal
from experiments.provenance import provenance
from experiments.recipes import RECIPES
from experiments.scaling_tables import tables
from experiments.settings import autocast_for
from experiments.timed_loop import Unsaved
from thesis_figures.scaling import JSON, Bill, Measured, Point, median, read
from thesis_figures.tables.formats import as_markdown


@dataclass(frozen=True)
class Network:
    """What one point is measured with."""

    width: float
    side: int
    batch: int
    held_out: bool = False


NETWORKS = (
    *(Network(0.125, side, 16) for side in (32, 64, 128)),
    *(Network(0.25, side, 16) for side in (32, 128)),
    Network(0.25, 64, 48),
    *(Network(0.5, side, 16) for side in (32, 64)),
    Network(0.5, 128, 8),
    *(Network(1, side, 16) for side in (32, 64)),
    Network(1, 96, 8),
    # Within the range, at the drawn sets' own network; and beyond it, up to the thesis' own.
    Network(0.25, 64, 16, held_out=True),
    Network(0.25, 96, 48, held_out=True),
    Network(0.5, 96, 16, held_out=True),
    Network(1, 128, 16, held_out=True),
    Network(1, 224, 8, held_out=True),
)
"""From the cheapest; the last ones say how well the formula foretells."""
CLASSES = 50
"""Near the chapter's: the classifier is a small part of a network's multiply-adds."""
SECONDS = 3.0
"""How long steps of one point are timed, and evaluations."""
LEAST_REPEATS, MOST_REPEATS = 3, 30
RECIPE = replace(RECIPES["drawn-many", "cars"].sparse, epochs=1, learning_rate=1e-4)  # no network diverges at this rate


@dataclass(frozen=True)
class Settings:
    points: Path | None = None
    """A scaling.json whose points to take; measured anew if not given."""
    seeds: int = 3
    """Seeds of each grid."""
    gpu_tflops: float = 50.0
    """What a GPU is assumed to sustain in training, in TFLOP/s: a sixth of the bf16 peak of an A100."""
    gpu_step_ms: float = 15.0
    """What a step of training is assumed to take on a GPU on top, in milliseconds: its some 300 kernels are started one
    by one, and small networks wait for that."""
    out: Path = Path("runs/scaling")
    """Where points and tables are written."""

    def check(self) -> None:
        """Raise ValueError for a value that cannot work."""
        at_least(1, seeds=self.seeds)
        more_than(0, gpu_tflops=self.gpu_tflops)
        at_least(0, gpu_step_ms=self.gpu_step_ms)


def main(settings: Settings) -> None:
    settings.check()
    console, path = terminal(), settings.out / "scaling.json"
    found = measured(NETWORKS, path, console) if settings.points is None else read(settings.points)
    found = replace(found, bills=bills(found, settings))
    _write(path, found)
    text = "\n".join(map(as_markdown, tables(found, settings.gpu_tflops, settings.gpu_step_ms)))
    write_text(settings.out / "scaling.md", text)
    console.print(text)
    console.print(f"Written to {path} and scaling.md")


def bills(found: Measured, settings: Settings) -> tuple[Bill, ...]:
    """Every grid on this machine, and on one and eight GPUs as assumed."""
    here = Machine("this machine", 1, False, found.training(), found.evaluating())
    machines = [here, *(gpus(count, settings.gpu_tflops, settings.gpu_step_ms) for count in (1, 8))]
    return tuple(bill(grid, infos, settings.seeds, machine) for grid, infos in GRIDS.items() for machine in machines)


def measured(networks: Sequence[Network], path: Path, console: Console) -> Measured:
    """A point of each network, written to `path` one by one."""
    device = torch.device("cpu")
    found = Measured((), (), provenance(device, autocast_for("auto", device)))
    for network in networks:
        found = replace(found, points=(*found.points, point(network, SECONDS)))
        latest = found.points[-1]
        console.print(
            f"width {network.width:<5} {network.side:>3} px batch {network.batch:>2}  {latest.macs / 1e9:8.4f} G  "
            f"training {1e3 * median(latest.training):8.2f} ms an image (n = {len(latest.training)}), evaluation "
            f"{1e3 * median(latest.evaluating):8.2f} ms (n = {len(latest.evaluating)})",
        )
        _write(path, found)
    return found


def point(network: Network, seconds: float) -> Point:
    """Time steps of `fit`, as every run takes them, and evaluations, on images of noise in memory."""
    spec = ModelSpec.vgg(16, CLASSES, network.width)
    model = fresh(spec, torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    sample = _noise(network.batch, network.side)
    autocast = autocast_for("auto", torch.device("cpu"))

    def evaluation() -> float:
        start = time.perf_counter()
        evaluate(model, sample, autocast)
        return time.perf_counter() - start

    steps = _steps(model, network, 1 + _repeats(_steps(model, network, 2)[-1], seconds))[1:]
    evaluation()  # the first one also sets up
    evaluations = [evaluation() for _ in range(_repeats(evaluation(), seconds))]
    return Point(
        width=network.width,
        side=network.side,
        batch=network.batch,
        macs=total_cost(spec, network.side).macs,
        training=tuple(step / network.batch for step in steps),
        evaluating=tuple(one / network.batch for one in evaluations),
        held_out=network.held_out,
    )


def _repeats(once: float, seconds: float) -> int:
    return min(MOST_REPEATS, max(LEAST_REPEATS, round(seconds / once)))


def _steps(model: BilinearCNN, network: Network, count: int) -> list[float]:
    """Seconds of each step of an epoch of so many."""
    recipe, clock = replace(RECIPE, batch=network.batch), _Clock()
    fit(
        model,
        _noise(network.batch * count, network.side),
        recipe,
        ScaleL1.of(model, recipe),
        validate=lambda _: Evaluation(images=1, correct=0),
        generator=torch.Generator().manual_seed(0),
        watch=clock,
        saved=Unsaved(),
        autocast=autocast_for("auto", torch.device("cpu")),
    )
    return [end - start for start, end in pairwise(clock.times)]


def _noise(count: int, side: int) -> ImageSplit:
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, 3, side, side), dtype=torch.uint8, generator=draws)
    return ImageSplit(images, torch.randint(CLASSES, (count,), generator=draws))


class _Clock:
    """A Watch that reads the time after each step."""

    def __init__(self) -> None:
        self.times = [time.perf_counter()]

    def batch(self, done: int, total: int) -> None:
        self.times.append(time.perf_counter())

    def epoch(self, stats: EpochStats, epochs: int, model: BilinearCNN) -> None:
        pass


def _write(path: Path, found: Measured) -> None:
    write_text(path, json_text(JSON.unstructure(found)))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="the points measured so far are in the folder of --out")
