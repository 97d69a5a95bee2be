"""Latency of each way to run a network beside the dense eager one: values, and the JSON file of many.

Knows no torch: figures and tables read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bcnn_prune.records import Latency, SpeedUp, json_file
from bcnn_prune.spec import ModelSpec

VERSION = 1
DENSE, SILENCED = "dense", "silenced"
"""Ways beside the variants: the unpruned network, and the pruned one in its shape, zeros where channels are cut; both
eager in fp32, as torch lays them out by default."""


@dataclass(frozen=True)
class Timing:
    """One way to run a network, at one batch size."""

    macs: int
    """Multiply-adds of one image, as this way computes it."""
    latency: Latency
    speed_up: SpeedUp
    """Over the dense eager network."""

    @property
    def gflops(self) -> float:
        """GFLOP/s at the median; a multiply-add is two FLOPs."""
        return 2 * self.macs * self.latency.batch / self.latency.median_ms / 1e6


@dataclass(frozen=True)
class Times:
    """All ways that were timed in turn."""

    peak_gflops: float
    """Of the fastest fp32 matrix product of this machine with as many threads."""
    ways: Mapping[str, tuple[Timing, ...]]
    """By DENSE, SILENCED or variant, one for each batch size."""

    def share_of_peak(self, timing: Timing) -> float:
        """Of the fp32 peak, also for bf16 and int8, which can therefore reach more than 1."""
        return timing.gflops / self.peak_gflops

    def at(self, way: str, batch: int) -> Timing | None:
        """None where that was not timed."""
        return next((timing for timing in self.ways.get(way, ()) if timing.latency.batch == batch), None)


@dataclass(frozen=True)
class NetworkTimes:
    """A network that was timed for its shape alone, with random weights."""

    network: str
    """Its widths in words: "one-shot, 60 % cut"."""
    multiple: int
    """Widths were rounded up to a multiple of it; 1 for widths as they are."""
    spec: ModelSpec
    unpruned: ModelSpec
    side: int
    """Pixels."""
    vnni: bool
    """Whether int8 weights take 8 bits, or the 7 that suit processors without VNNI."""
    times: Times
    provenance: Mapping[str, str]


@dataclass(frozen=True)
class RuntimeRecord:
    """Networks in the order in which they were timed, all on one machine with as many threads."""

    networks: tuple[NetworkTimes, ...]


def to_json(record: RuntimeRecord) -> str:
    """The record as JSON text, its keys in the order of the fields."""
    return json_file.to_json(record, VERSION)


def read_times(path: Path) -> RuntimeRecord:
    """The record in a file. Raises ValueError that names the file."""
    return json_file.read(path, RuntimeRecord, "record of runtimes", VERSION)
