"""Time and memory of surgery by tool, as experiments.measure.surgery writes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bcnn_prune.records import json_file
from bcnn_prune.spec import ModelSpec

Tool = Literal["rebuild", "torch-pruning"]


@dataclass(frozen=True)
class SurgeryJob:
    """A tool, a network and a plan, which follows from share and seed."""

    tool: Tool
    spec: ModelSpec
    share: float
    """Share of all channels to cut, 0 to 1."""
    last: bool = True
    """Whether the last layer, whose products the classifier reads, is cut too; if not, it keeps all channels."""
    seed: int = 0


@dataclass(frozen=True)
class SurgeryOutcome:
    """Time, memory and result of one surgery."""

    seconds: float
    peak_bytes: int
    """Above the resident memory before the surgery."""
    model_bytes: int
    """Weights and statistics of the model before the surgery."""
    channels: int
    """Channels cut."""
    columns_to_go: int
    """Columns of the classifier that the plan removes."""
    columns_named: int
    """Columns of the classifier that the tool asked to remove, repeated and nonexistent ones included."""
    difference: float | None
    """Largest difference from the silenced network's logits, relative to the largest logit; None where the pruned
    network cannot be run."""
    failure: str = ""
    """Error message of a pruned network that cannot be run."""


@dataclass(frozen=True)
class SurgeryRun:
    """One process."""

    job: SurgeryJob
    outcome: SurgeryOutcome | None
    """None where the process was killed."""
    killed: str
    """The limit that it exceeded; empty where it ended by itself."""
    reached: str
    """The last layer that Torch-Pruning began to cut."""
    seconds: float
    """From the beginning of the surgery to the end of the process."""
    largest_bytes: int
    """Largest resident memory of the process."""


@dataclass(frozen=True)
class SurgeryCost:
    """All processes, in the order in which they ran."""

    runs: tuple[SurgeryRun, ...]
    limit_seconds: float
    limit_bytes: int
    provenance: Mapping[str, str]


def file_of(folder: Path) -> Path:
    return folder / "surgery.json"


def read_surgery(path: Path) -> SurgeryCost:
    """The measurements in a file. Raises ValueError that names the file."""
    return json_file.read(path, SurgeryCost, "measurement of surgery")
