"""VGG-16 on handwritten digits (course document 004, part III), and MobileNet beside it.

    python -m data_prep digits --source mnist --subset --side 32
    python -m experiments.exercises.digits --dataset mnist10k

trains both from fresh weights for 10 epochs. Each ends in runs/exercises.digits with a table and a record: accuracy and
loss by epoch, the confusion matrix on test, from which macro precision, recall and F1 follow. The document's images
are 224 px wide, at which a GPU is needed: prepare them with data_prep's --side 224."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from bcnn_prune.records import DatasetInfo
from experiments.exercises import common
from experiments.exercises.common import ExerciseSettings, Network
from experiments.run import cli
from experiments.run.execute import execute
from experiments.run.flow import Flow


@dataclass(frozen=True, kw_only=True)
class Settings(ExerciseSettings):
    """The settings of all exercises."""

    NETWORKS: ClassVar = {"vgg16": Network("vgg16-digits"), "mobilenet": Network("mobilenet", "average")}
    RECIPE: ClassVar = "course-digits"


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    return common.flows("digits", settings, info)


def main(settings: Settings) -> None:
    execute(settings, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
