"""A network in other runtimes and number formats, and the JSON file of it.

Knows no torch: figures and tables read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bcnn_prune.records import RECORD, Evaluation, RunRecord, json_file
from bcnn_prune.records.latency import Times
from bcnn_prune.spec import ModelSpec

VERSION = 2
ORIGINAL = "torch"
"""The variant that the others are compared with."""
FOLDER = "deploy"
"""Folder of reports among results: <set>/<name>.json."""
DEPLOYED, REPORT = "deployed", "deploy.json"
"""Folder of the files beside a checkpoint, and the report in it."""


@dataclass(frozen=True)
class VariantReport:
    """One variant compared with the original on the same test images."""

    bytes: int
    """Of the files that it needs."""
    test: Evaluation
    agreeing: int
    """Test images whose class is the one that the original names, right or wrong."""
    largest_difference: float
    """Of a logit to the original's, as a share of the original's largest logit, signs dropped."""

    @property
    def agreement(self) -> float:
        """0 to 1."""
        return self.agreeing / self.test.images


@dataclass(frozen=True)
class DeployReport:
    """A network that was deployed: from which checkpoint, how it was quantised, and each variant."""

    checkpoint: str
    """SHA-256 of the file."""
    spec: ModelSpec
    unpruned: ModelSpec
    """The network that was pruned."""
    dataset: str
    data_digest: str
    side: int
    """Pixels."""
    calibration_images: int
    """Val images that gave the ranges of int8."""
    kept: tuple[str, ...]
    """Layers that the int8 files leave in fp32, apart from the pooled product and its root."""
    vnni: bool
    """Whether int8 weights take 8 bits, or the 7 that suit processors without VNNI."""
    variants: Mapping[str, VariantReport]
    times: Times | None
    """None where nothing was timed."""
    provenance: Mapping[str, str]

    def is_of(self, record: RunRecord) -> bool:
        """Whether it tells of the network that a run ended with, by its images, its shape, and what it came to on all
        test images. Processors differ in single ones."""
        step, found = record.steps[-1], self.variants[ORIGINAL].test
        alike = found.images == step.final.images and abs(found.correct - step.final.correct) <= 0.01 * found.images
        return alike and (self.data_digest, self.spec) == (record.data.digest, step.spec)


def to_json(report: DeployReport) -> str:
    """The report as JSON text, its keys in the order of the fields."""
    return json_file.to_json(report, VERSION)


def read_report(path: Path) -> DeployReport:
    """The report in a file. Raises ValueError that names the file."""
    return json_file.read(path, DeployReport, "deploy report", VERSION)


def report_of(record: Path) -> DeployReport | None:
    """The report of deploying the network that a run ended with, by the file of its record: beside the run's own files,
    or where --results put both. None where there is none."""
    run = record.parent if record.name == RECORD else record.with_suffix("")
    *_, experiment, data_set, name = run.parts
    places = (run / DEPLOYED / REPORT, run.parents[2] / FOLDER / data_set / f"{experiment}-{name}.json")
    return next((read_report(place) for place in places if place.is_file()), None)
