"""CPU times of the files that compared, compressed and small networks are deployed as, measured on one idle machine
by experiments.measure.file_latency."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bcnn_prune.records import Latency, RunRecord, json_file
from bcnn_prune.records.timm_network import TimmNetworkRecord
from bcnn_prune.spec import ModelSpec

Shape = tuple[int, ModelSpec]
"""All that decides the time of a file: side in pixels, and the network."""


@dataclass(frozen=True)
class FileTime:
    """A network, with fresh weights, as a file."""

    side: int
    """Pixels."""
    spec: ModelSpec
    latency: Latency


@dataclass(frozen=True)
class TimmFileTime:
    """A network of timm, with fresh weights, as a file."""

    side: int
    """Pixels."""
    network: str
    """timm's name."""
    classes: int
    latency: Latency


@dataclass(frozen=True)
class FileTimes:
    """All files, from one go on one machine."""

    runtime: str
    """The variant, as experiments.deploy names it."""
    files: tuple[FileTime, ...]
    provenance: Mapping[str, str]
    timm: tuple[TimmFileTime, ...] = ()

    @cached_property
    def milliseconds(self) -> Mapping[Shape, float]:
        """Medians by shape."""
        return {(file.side, file.spec): file.latency.median_ms for file in self.files}

    @property
    def threads(self) -> int:
        return self.files[0].latency.threads

    def of(self, shapes: Iterable[Shape]) -> list[float]:
        """Medians of these shapes, of those that were timed."""
        return [self.milliseconds[shape] for shape in shapes if shape in self.milliseconds]

    def of_timm(self, record: TimmNetworkRecord) -> list[float]:
        """The median of a network of timm, where it was timed."""
        wanted = (record.data.side, record.network, record.data.classes)
        return [file.latency.median_ms for file in self.timm if (file.side, file.network, file.classes) == wanted]


def file_of(results: Path) -> Path:
    return results / "cpu_time" / "files.json"


def shapes(record: RunRecord) -> set[Shape]:
    """The networks that a run compared at equal cost, or made small and stored in few bytes, and the unpruned one; the
    network of a course document; none for other runs."""
    if record.is_exercise:
        return {(record.data.side, record.spec)}
    compared = record.compared if record.experiment == "equal_cost" else ()  # proxy compares plans that none deploys
    specs = [network.spec for network in compared] + [step.spec for step in record.steps if step.packed]
    return {(record.data.side, spec) for spec in (record.spec, *specs)} if specs else set()


def read(results: Path) -> FileTimes | None:
    """None where nothing was timed. Raises ValueError that names a file which holds no such times."""
    path = file_of(results)
    return json_file.read(path, FileTimes, "file of CPU times") if path.is_file() else None
