"""What a whole grid of runs costs, from the arithmetic of its phases and the time of an image.

Counted are the epochs of every phase with their validation, and one look at the test images a phase and two more a
cut. Pruned networks are taken for as dear as the whole one, which bounds the sum from above; not counted are starting,
reading files, timing the networks on the CPU, and a sweep's cuts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.records import DatasetInfo
from bcnn_prune.spec import ModelSpec
from data_prep.prepare import VAL_SHARE
from experiments.chapter import ChapterSettings, chapter
from experiments.phases import Phase
from experiments.schedule import jobs, makespan, tails
from thesis_figures.scaling import BACKWARD, Bill, Formula

EVALUATED = 64  # images of a batch that is evaluated


@dataclass(frozen=True)
class Machine:
    """What trains: so many runs at once, an image of each in so long."""

    name: str
    workers: int
    extrapolated: bool
    training: Formula
    """By the multiply-adds of a training step."""
    evaluating: Formula
    a_step: float = 0.0
    """Seconds of a step or a batch on top, however small it is."""


def gpus(count: int, tflops: float, step_ms: float) -> Machine:
    """GPUs with a run each, which sustain so many TFLOP/s and need so many milliseconds to start a step's work."""
    by_rate = Formula(an_image=0.0, a_mac=2 / (tflops * 1e12))
    name = f"{count} GPU{'s' * (count > 1)}"
    return Machine(name, count, True, by_rate, by_rate, step_ms / 1e3)


def image_set(name: str, side: int, classes: int, train: int, val: int, test: int) -> DatasetInfo:
    """A set as far as its cost goes: what its images show is left out."""
    names, images = tuple(map(str, range(classes))), {"train": train, "val": val, "test": test}
    return DatasetInfo(name, side, names, images, (1, 1), (1, 1), (1, 1), digest=name)


def official(name: str, classes: int, train: int, test: int) -> DatasetInfo:
    """A whole set at the thesis' 224 px, with val cut from its official training images."""
    val = round(VAL_SHARE * train)
    return image_set(name, 224, classes, train - val, val, test)


GRIDS: Mapping[str, tuple[DatasetInfo, ...]] = {
    "drawn sets": tuple(
        image_set(f"drawn-{family}50", 64, 50, 2000, 500, 1250) for family in ("aircraft", "birds", "cars")
    ),
    "subsets": (  # results/subsets/README.md
        image_set("birds50", 64, 50, 1350, 150, 1389),
        image_set("cars50", 64, 50, 1201, 137, 718),
        image_set("aircraft20", 64, 20, 1191, 140, 669),
    ),
    "full sets": (  # Maji et al. 2013, Wah et al. 2011, Krause et al. 2013
        official("aircraft", 100, 6667, 3333),
        official("birds", 200, 5994, 5794),
        official("cars", 196, 8144, 8041),
    ),
}
"""The sets that the chapter is run on, three each."""


def bill(grid: str, infos: Sequence[DatasetInfo], seeds: int, machine: Machine, width: float | None = None) -> Bill:
    """The chapter on these sets, with so many seeds; at the recipe's width, if none is given."""
    told = {info.name: ChapterSettings(dataset=info.name, width=width) for info in infos}
    runs = [run.phases for seed in range(seeds) for info in infos for run in chapter(told[info.name], info, seed)]
    sets = {info.digest: info for info in infos}

    def seconds(phase: Phase) -> float:
        return _seconds(phase, sets[phase.first.data], machine)

    found = jobs(dict(enumerate(runs)), weigh=seconds)
    phases = {phase for run in runs for phase in run}
    macs = max(_macs(phase.first.spec, sets[phase.first.data].side) for phase in phases)
    batch = min(phase.recipe.batch for phase in phases)
    return Bill(
        grid=grid,
        machine=machine.name,
        extrapolated=machine.extrapolated,
        runs=len(runs),
        phases=len(phases),
        epochs=sum(phase.recipe.epochs for phase in phases),
        images=round(fmean(info.images["train"] for info in infos)),
        side=infos[0].side,
        macs=macs,
        an_image=machine.training(BACKWARD * macs) + machine.a_step / batch,
        seconds=makespan(found, machine.workers),
        chain=max(tails(found).values()),
    )


def _seconds(phase: Phase, info: DatasetInfo, machine: Machine) -> float:
    macs, images = _macs(phase.first.spec, info.side), info.images

    def evaluated(split: str) -> float:
        return images[split] * machine.evaluating(macs) + math.ceil(images[split] / EVALUATED) * machine.a_step

    steps = math.ceil(images["train"] / phase.recipe.batch)
    trained = images["train"] * machine.training(BACKWARD * macs) + steps * machine.a_step
    looks = 1 if phase.cut is None else 3
    return phase.recipe.epochs * (trained + evaluated("val")) + looks * evaluated("test")


@cache
def _macs(spec: ModelSpec, side: int) -> int:
    return total_cost(spec, side).macs
