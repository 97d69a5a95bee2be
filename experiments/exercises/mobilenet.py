"""MobileNet by width and image side (course document 001, after Howard et al. 2017, tables 6 and 7).

    python -m experiments.exercises.mobilenet --dataset cars --sides 64 48 32

trains MobileNet v1 at α of 1, 0.75, 0.5 and 0.25 on images of each side. Each network ends in runs/exercises.mobilenet
with a table and a record: accuracy, parameters, multiply-adds, CPU time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from bcnn_prune.command_line.check import at_least, some
from bcnn_prune.data.format import describe
from bcnn_prune.records import DatasetInfo
from data_prep.resize import resized
from experiments.exercises import common
from experiments.exercises.common import ExerciseSettings, Network
from experiments.run import cli
from experiments.run.console import terminal
from experiments.run.datasets import find_dataset
from experiments.run.execute import execute
from experiments.run.flow import Flow
from experiments.run.record import reserve
from experiments.run.run import require_trainable_phases


@dataclass(frozen=True, kw_only=True)
class Settings(ExerciseSettings):
    """The settings of all exercises, and the sides."""

    NETWORKS: ClassVar = {f"alpha{alpha:g}": Network("mobilenet", "average", alpha) for alpha in (1.0, 0.75, 0.5, 0.25)}
    RECIPE: ClassVar = "course-photographs"
    NEWER: ClassVar = (*ExerciseSettings.NEWER, "sides")

    sides: tuple[int, ...] | None = None
    """Sides that the images are scaled down to, in pixels; that of the prepared set if not given."""

    def check(self) -> None:
        super().check()
        if self.sides is not None:
            some("64 48 32", sides=self.sides)
        at_least(1, sides=self.sides)


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    return common.flows("mobilenet", settings, info)


def at_side(side: int, settings: Settings) -> Path:
    """The file of the set with images of `side` px, made in <out>/resized where it is not there yet."""
    path, info = find_dataset(settings.dataset, settings.data, settings.classes, terminal())
    if side == info.side:
        return path
    out = settings.out / "resized" / f"{info.name}-{side}px-{info.digest[:8]}.h5"
    if not out.exists():
        resized(path, side, out)
    return out


def main(settings: Settings) -> None:
    settings.check()
    files = {side: at_side(side, settings) for side in settings.sides or ()}
    told = [replace(settings, sides=(side,), data=file) for side, file in files.items()]
    for of_side, file in zip(told, files.values(), strict=True):  # all of them before the first is trained
        info = describe(file)
        for flow in flows(of_side, info):
            require_trainable_phases(flow, info)
            reserve(flow, info)
    for of_side in told or [settings]:
        execute(of_side, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
