"""Small networks for photographs: separable, grouped, distilled (course document 003).

Questions 1, 2 and 4:

    python -m experiments.exercises.food --dataset cars

trains, on any prepared set: a big CNN and its separable form, alone and taught by the big one; a MobileNet student
alone, and taught by a VGG-16 from fresh or from pretrained weights, in place of the document's ResNet-18; and three
CNNs near 1 MB, plain, separable and grouped. --networks small small-grouped trains these alone, and their teachers.
Each ends in runs/exercises.food with a table and a record."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from bcnn_prune.records import DatasetInfo
from experiments.exercises import common
from experiments.exercises.common import ExerciseSettings, Network
from experiments.run import cli
from experiments.run.execute import execute
from experiments.run.flow import Flow

TEACHER = Network("vgg16", "average", 0.25)


@dataclass(frozen=True, kw_only=True)
class Settings(ExerciseSettings):
    """The settings of all exercises."""

    NETWORKS: ClassVar = {
        "big": Network("food-cnn"),
        "separable": Network("food-cnn-separable"),
        "separable-distilled": Network("food-cnn-separable", teacher="big"),
        "teacher": TEACHER,
        "teacher-pretrained": replace(TEACHER, weights="tiny"),
        "student": Network("student", "average"),
        "student-distilled": Network("student", "average", teacher="teacher"),
        "student-distilled-pretrained": Network("student", "average", teacher="teacher-pretrained"),
        "small": Network("small-cnn"),
        "small-separable": Network("small-cnn-separable"),
        "small-grouped": Network("small-cnn-grouped"),
    }
    RECIPE: ClassVar = "course-photographs"


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    return common.flows("food", settings, info)


def main(settings: Settings) -> None:
    execute(settings, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
