"""Costs of networks by several counters, as experiments.measure.counters writes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bcnn_prune.records import Cost, json_file
from bcnn_prune.spec import ModelSpec

UNEXPLAINED = "unexplained"
PACKAGES = ("fvcore", "thop", "ptflops", "torchinfo")
"""Packages that bring the counters, beside torch; provenance holds their versions."""
Unit = Literal["macs", "outputs", "params"]
UNITS: dict[Unit, str] = {"macs": "multiply-add", "outputs": "output element", "params": "parameter"}


@dataclass(frozen=True)
class Excess:
    """Multiply-adds that a counter adds to ours for one kind of step: `times` per unit.

    Negative where it counts less: -1 per multiply-add is a step that it does not count."""

    times: int
    unit: Unit


def in_words(excess: Excess | None) -> str:
    """Text of a table's cell: empty for no excess; None, which is no multiple of any unit, is unexplained."""
    match excess:
        case None:
            return UNEXPLAINED
        case Excess(0, _):
            return ""
        case Excess(-1, "macs"):
            return "not counted"
        case Excess(times, unit):
            return f"{times} per {UNITS[unit]}"


@dataclass(frozen=True)
class CounterCost:
    """Cost of one network by one counter."""

    network: str
    counter: str
    cost: Cost
    reason: str
    """The steps that it counts otherwise than we do; empty where the multiply-adds are ours."""


@dataclass(frozen=True)
class NetworkSize:
    """Cost and memory of one network by our own count; of timm's networks by FlopCounterMode."""

    network: str
    source: str
    cost: Cost
    file_bytes: int
    """Weights and statistics in fp32."""
    peak_activation_bytes: int | None
    """Forward pass of one image in fp32; None for timm's networks."""


@dataclass(frozen=True)
class CounterComparison:
    """All counts, for an image of side × side pixels."""

    side: int
    specs: Mapping[str, ModelSpec]
    """Our networks."""
    counts: tuple[CounterCost, ...]
    alone: Mapping[str, Mapping[str, Excess | None]]
    """By counter and kind of step, each step alone; None where the difference is no multiple of any unit."""
    sizes: tuple[NetworkSize, ...]
    provenance: Mapping[str, str]


def file_of(folder: Path) -> Path:
    return folder / "counters.json"


def read_counters(path: Path) -> CounterComparison:
    """The comparison in a file. Raises ValueError that names the file."""
    return json_file.read(path, CounterComparison, "comparison of counters")
