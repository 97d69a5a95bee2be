"""Make the CNN of course document 000 smaller, and train it anew each time.

    python -m data_prep folder --source cifar10 --name cifar10 --side 32
    python -m experiments.exercises.cifar --dataset cifar10

trains the network of 747,690 parameters, and five that the document's means make of it: an average in place of the
dense layers, the same with dense layers, half the width, both, and 1 × 1 convolutions in front. Each ends in
runs/exercises.cifar with a table and a record: accuracy and loss by epoch on train and val, parameters, multiply-adds,
CPU time. On a CPU that takes hours."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from bcnn_prune.records import DatasetInfo
from experiments.exercises import common
from experiments.exercises.common import ExerciseSettings, Network
from experiments.run import cli
from experiments.run.execute import execute
from experiments.run.flow import Flow

DENSE = (256, 128)


@dataclass(frozen=True, kw_only=True)
class Settings(ExerciseSettings):
    """The settings of all exercises."""

    # Where an average is the head, it stands in place of the last max-pool.
    NETWORKS: ClassVar = {
        "plain": Network("cifar-cnn"),
        "average": Network("cifar-cnn", "average"),
        "average-dense": Network("cifar-cnn", "average", dense=DENSE),
        "half": Network("cifar-cnn", width=0.5, dense=DENSE),
        "half-average": Network("cifar-cnn", "average", width=0.5),
        "reduced": Network("cifar-cnn-reduced", "average"),
    }
    RECIPE: ClassVar = "course-cifar"


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    return common.flows("cifar", settings, info)


def main(settings: Settings) -> None:
    execute(settings, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
