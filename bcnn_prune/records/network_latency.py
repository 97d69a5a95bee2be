"""CPU times of networks side by side, as experiments.measure.network_latency writes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bcnn_prune.records import Cost, Latency, json_file

LAYOUTS = ("contiguous", "channels-last")
"""Memory format of images and weights: colour by colour, or all channels of a pixel together."""


@dataclass(frozen=True)
class Timed:
    """One network."""

    network: str
    source: str
    cost: Cost
    """Multiply-adds of one image."""
    peak_activation_bytes: int | None
    """The most that lives at once in a forward pass of one image in fp32, weights and image not counted; None where it
    was not counted."""
    latency: Mapping[str, Latency]
    """By layout, of one batch."""


@dataclass(frozen=True)
class CpuTimes:
    """Networks timed in turn, with fresh weights, eager and in fp32."""

    batch: int
    side: int
    """Pixels."""
    classes: int
    networks: tuple[Timed, ...]
    provenance: Mapping[str, str]


def file_of(folder: Path, batch: int) -> Path:
    return folder / f"batch{batch}.json"


def read_one(path: Path) -> CpuTimes:
    """The times in a file. Raises ValueError that names the file."""
    return json_file.read(path, CpuTimes, "file of CPU times")


def read(folder: Path) -> list[CpuTimes]:
    """All that `folder` holds, the smallest batch first; nothing where it is not there."""
    return sorted(map(read_one, folder.glob("batch*.json")), key=lambda times: times.batch)
