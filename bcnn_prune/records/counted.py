"""Networks of torchvision by torch's counter."""

from dataclasses import dataclass
from pathlib import Path

from bcnn_prune.records.json_file import read
from bcnn_prune.records.measures import Cost


@dataclass(frozen=True)
class CountedNetwork:
    """Cost of one network at one side."""

    name: str
    """torchvision's."""
    classes: int
    side: int
    cost: Cost


@dataclass(frozen=True)
class CountedNetworks:
    """All that were counted, by these versions."""

    networks: tuple[CountedNetwork, ...]
    torch: str
    torchvision: str


def file_of(folder: Path) -> Path:
    """The file of counts in a folder."""
    return folder / "torchvision_networks.json"


def read_counted(path: Path) -> CountedNetworks:
    """The counts in a file. Raises ValueError that names it."""
    return read(path, CountedNetworks, "file of counted networks")
