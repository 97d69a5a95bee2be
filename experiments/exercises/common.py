"""What the course documents' experiments share: networks by name, each trained in one phase and recorded by itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import tyro

from bcnn_prune.command_line.check import one_of, some
from bcnn_prune.records import DatasetInfo
from bcnn_prune.spec import ModelSpec
from experiments.recipes import COURSE_DISTILLATION, Name
from experiments.run.flow import Flow, Phase, chain_of, initial, phases_to
from experiments.run.settings import recipes_for
from experiments.run.unpruned_settings import UnprunedSettings

NETWORK = "network"
"""Name of the phase that trains a network whole."""


@dataclass(frozen=True)
class Network:
    """A network of a document, and where it starts."""

    backbone: str
    head: str = "flatten"
    width: float = 1.0
    dense: tuple[int, ...] = ()
    """Outputs of the hidden dense layers, where they are others than the head's."""
    weights: str | None = None
    """Pretrained weights; None for fresh ones."""
    teacher: str = ""
    """Name of the network whose outputs it learns from."""

    def spec(self, info: DatasetInfo) -> ModelSpec:
        """The network for the classes and the side of a set. Raises ValueError for images that are too small."""
        spec = ModelSpec.of(self.backbone, info.classes, self.width, self.head, side=info.side)
        return replace(spec, widths=(*spec.widths[: spec.convolutions], *self.dense)) if self.dense else spec


@dataclass(frozen=True, kw_only=True)
class ExerciseSettings(UnprunedSettings):
    """The settings of networks that are not cut, and the networks."""

    NETWORKS: ClassVar[Mapping[str, Network]]
    RECIPE: ClassVar[Name]
    NEWER: ClassVar[tuple[str, ...]] = (
        *(*UnprunedSettings.NEWER, "recipe", "backbone", "width", "weights", "sparsity", "last_sparsity", "update"),
        "sparse_epochs",
    )

    backbone: tyro.conf.Suppress[str] = "vgg16"
    width: tyro.conf.Suppress[float | None] = None
    head: tyro.conf.Suppress[str] = "bilinear"
    reduce_to: tyro.conf.Suppress[int] = 64
    weights: tyro.conf.Suppress[str | None] = None
    narrow: tyro.conf.Suppress[bool] = False
    networks: tuple[str, ...] | None = None
    """Networks to train, by name; all of them, one after the other, if not given."""

    def check(self) -> None:
        super().check()
        if self.networks is not None:
            some(" ".join(self.NETWORKS), networks=self.networks)
            one_of(self.NETWORKS, networks=self.networks)

    @property
    def chosen(self) -> tuple[str, ...]:
        return tuple(self.NETWORKS if self.networks is None else dict.fromkeys(self.networks))

    def recipe_name(self, info: DatasetInfo) -> Name:
        return self.RECIPE

    def unpruned(self, info: DatasetInfo) -> ModelSpec:
        """The first of the networks."""
        return self.NETWORKS[self.chosen[0]].spec(info)


def flows(experiment: str, settings: ExerciseSettings, info: DatasetInfo) -> Iterator[Flow]:
    """A run for each network, under the settings that name it alone."""
    for name in settings.chosen:
        told = replace(settings, networks=(name,))
        yield Flow(f"exercises.{experiment}", told, phases_to(phase_of(name, told, info)))


def phase_of(name: str, settings: ExerciseSettings, info: DatasetInfo) -> Phase:
    """The last phase of a network: after its teacher's, and on a pretrained trunk after the classifier's."""
    network, told = settings.NETWORKS[name], replace(settings, networks=(name,))
    recipes = recipes_for(replace(told, weights=network.weights), info)
    phases = {"classifier": recipes.classifier} if recipes.classifier else {}
    phases[NETWORK] = recipes.dense  # not called dense: others are compared with that network of their set
    last = chain_of(phases, replace(initial(told, info), weights=recipes.weights))[-1]
    if not network.teacher:
        return last
    taught = replace(recipes.dense, distillation=COURSE_DISTILLATION)
    return replace(last, recipe=taught, teacher=phase_of(network.teacher, settings, info))
