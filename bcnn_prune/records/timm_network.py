"""Networks of timm, trained on one of our sets by experiments.timm_networks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bcnn_prune.records import json_file
from bcnn_prune.records.confusion import ConfusionMatrix
from bcnn_prune.records.dataset import DatasetInfo
from bcnn_prune.records.measures import Cost
from bcnn_prune.records.recipe import Recipe
from bcnn_prune.records.run import RECORD
from bcnn_prune.records.training import History

FOLDER = "timm_networks"
"""Of these records, in a folder of results."""


@dataclass(frozen=True)
class TimmNetworkRecord:
    """One network, trained in one phase and scored once on the test split."""

    network: str
    """timm's name."""
    weights: str
    """Those it started from: none (fresh ones), or imagenet."""
    seed: int
    data: DatasetInfo
    recipe: Recipe
    history: History
    cost: Cost
    """By torch's counter."""
    file_bytes: int
    """Of its tensors in fp32."""
    test: ConfusionMatrix
    provenance: Mapping[str, str]


def read(results: Path) -> list[TimmNetworkRecord]:
    """All records in a folder of results, or of all files of runs, by path; one that is in both once. Raises ValueError
    that names a file which is no such record."""
    found = {path.with_suffix(""): path for path in (results / FOLDER).glob("*/*.json")}
    for path in (results / FOLDER).glob(f"*/*/{RECORD}"):
        found.setdefault(path.parent, path)
    paths = sorted(found.values())
    return [json_file.read(path, TimmNetworkRecord, "record of a timm network") for path in paths]
