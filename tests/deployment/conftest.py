"""A tiny network that learned the stripes, its checkpoint and its set, deployed once for all tests."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from bcnn_prune.about import About
from bcnn_prune.data.augment import normalised
from bcnn_prune.data.batches import read_split
from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.model.weights import CheckpointInfo, fresh, save
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.spec import ModelSpec
from tests.small_sets import stripes

SIDE, CLASSES = 16, 4
SPEC = ModelSpec(11, (6, 8, 8, 8, 8, 8, 8, 12), CLASSES)
UNPRUNED = replace(SPEC, widths=tuple(width + 3 for width in SPEC.widths))
PLAN = ChannelPlan({layer: tuple(range(2, width + 2)) for layer, width in SPEC.width_of.items()})


@dataclass(frozen=True)
class Trained:
    """A folder with set.h5 and model.safetensors, and what they hold."""

    folder: Path
    model: BilinearCNN
    info: CheckpointInfo

    @property
    def checkpoint(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def data(self) -> Path:
        return self.folder / "set.h5"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    held = stripes(folder / "set.h5", "drawn-cars4", CLASSES, SIDE, per_class=(40, 12, 20))
    model = learned(folder / "set.h5")
    info = CheckpointInfo(About(SPEC, held.class_names, held.name, held.side), UNPRUNED, PLAN)
    save(folder / "model.safetensors", model, info)
    return Trained(folder, model, info)


def learned(path: Path) -> BilinearCNN:
    """A few seconds of Adam: nothing of ours is under test here."""
    generator = torch.Generator().manual_seed(0)
    model, train = fresh(SPEC, generator), read_split(path, "train", torch.device("cpu"))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(25):
        for images, labels in train.batches(32, generator):
            optimizer.zero_grad()
            F.cross_entropy(model(normalised(images)), labels).backward()
            optimizer.step()
    return model.eval()


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Opening a checkpoint sets torch's number of threads for the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
