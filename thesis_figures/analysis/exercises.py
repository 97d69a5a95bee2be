"""Networks of the course documents' experiments, over seeds, each beside the one that its document sets it against."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from scipy.stats import norm

from bcnn_prune.records import Cost, Evaluation, History, RunRecord
from bcnn_prune.records.file_latency import Shape
from thesis_figures.analysis.equal_cost import t_half_width
from thesis_figures.analysis.runs import Runs, Spread, over_seeds

PREFIX = "exercises."
NETWORK = "network"
"""The network of a record, beside the same with its classifier alone trained."""


@dataclass(frozen=True)
class Part:
    """A part of a document: networks by the name that its command knows."""

    experiment: str
    document: str
    networks: Mapping[str, tuple[str, str]]
    """Name in words, and the network that it is compared with; empty for the first."""


PARTS = {
    "cifar": Part(
        "cifar",
        "000, part 2",
        {
            "plain": ("as published", ""),
            "average": ("average, no dense layers", "plain"),
            "average-dense": ("average, dense layers", "plain"),
            "half": ("half the width", "plain"),
            "half-average": ("half the width, average", "plain"),
            "reduced": ("1 × 1 in front of 3 × 3", "plain"),
        },
    ),
    "mobilenet": Part(
        "mobilenet",
        "001",
        {
            "alpha1": ("α = 1", ""),
            "alpha0.75": ("α = 0.75", "alpha1"),
            "alpha0.5": ("α = 0.5", "alpha1"),
            "alpha0.25": ("α = 0.25", "alpha1"),
        },
    ),
    "food-1": Part(
        "food",
        "003, question 1",
        {
            "big": ("big CNN", ""),
            "separable": ("separable", "big"),
            "separable-distilled": ("separable, taught by the big CNN", "separable"),
        },
    ),
    "food-2": Part(
        "food",
        "003, question 2",
        {
            "teacher": ("teacher", ""),
            "teacher-pretrained": ("pretrained teacher", "teacher"),
            "student": ("student", "teacher"),
            "student-distilled": ("student, taught", "student"),
            "student-distilled-pretrained": ("student, taught by the pretrained", "student-distilled"),
        },
    ),
    "food-4": Part(
        "food",
        "003, question 4",
        {
            "small": ("small CNN", ""),
            "small-separable": ("small, separable", "small"),
            "small-grouped": ("small, grouped", "small"),
        },
    ),
    "digits": Part("digits", "004, part III", {"vgg16": ("VGG-16", ""), "mobilenet": ("MobileNet", "vgg16")}),
}


@dataclass(frozen=True)
class Trained:
    """A network of a part on one set, by seed."""

    part: Part
    runs: Runs

    @property
    def key(self) -> str:
        return str(self.runs[0].settings["networks"])

    @property
    def name(self) -> str:
        """The network in words, and its epochs where they are not the recipe's."""
        epochs = self.runs[0].settings.get("dense_epochs")
        return self.part.networks[self.key][0] + (f", {epochs} epochs" if epochs else "")

    @property
    def circumstances(self) -> tuple[str, dict[str, object]]:
        """The images, and the settings but for the network and the seed: how long it was trained, and so on."""
        told = self.runs[0].settings
        return self.runs[0].data.digest, {name: told[name] for name in told if name not in ("networks", "seed")}

    @property
    def side(self) -> int:
        return self.runs[0].data.side

    @property
    def cost(self) -> Cost:
        return self.runs[0].cost

    @property
    def shape(self) -> Shape:
        """Image side and network, by which files were timed."""
        return self.side, self.runs[0].spec

    @property
    def histories(self) -> list[History]:
        return [run.training[NETWORK] for run in self.runs]

    @cached_property
    def tested(self) -> dict[int, Evaluation]:
        """Test counts by seed."""
        return {run.seed: run.test[NETWORK] for run in self.runs}

    def above(self, other: "Trained") -> tuple[Spread, float]:
        """Points of test accuracy over another network, seed by seed, and half of the 95 % interval: of t over seeds,
        for a single one of the difference of two counts."""
        seeds = [seed for seed in self.tested if seed in other.tested]
        pairs = [(self.tested[seed], other.tested[seed]) for seed in seeds]
        change = Spread.of([100 * (own.accuracy - its.accuracy) for own, its in pairs])
        if (half := t_half_width(change)) is not None:
            return change, half
        variance = sum(found.accuracy * (1 - found.accuracy) / found.images for found in pairs[0])
        return change, 100 * float(norm.ppf(0.975)) * math.sqrt(variance)


def trained(records: Iterable[RunRecord], part: str) -> dict[str, list[Trained]]:
    """The networks of a part by data set: larger images first, then in the order of the part, then
    by epochs."""
    known = PARTS[part]
    chosen = [
        record
        for record in records
        if record.experiment == PREFIX + known.experiment and record.settings["networks"] in known.networks
    ]
    found: dict[str, list[Trained]] = {}
    for runs in over_seeds(chosen):
        found.setdefault(runs[0].data.name, []).append(Trained(known, runs))
    order = list(known.networks)
    return {
        label: sorted(networks, key=lambda one: (-one.side, order.index(one.key), len(one.histories[0].epochs)))
        for label, networks in sorted(found.items())
    }


def compared_with(network: Trained, others: Sequence[Trained]) -> Trained | None:
    """The network of the same images and settings that its document sets it against; None where there is none with a
    seed of it."""
    against = network.part.networks[network.key][1]
    found = (other for other in others if other.key == against and other.circumstances == network.circumstances)
    return next((other for other in found if other.tested.keys() & network.tested.keys()), None)
