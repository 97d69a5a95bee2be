"""A tiny network that learned the stripes, its checkpoint and its set, deployed once for all tests."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Int64
from safetensors.torch import load_file

from bcnn_prune.deployment.runtime import Logits
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.checkpoint import CheckpointInfo, save
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.spec import ModelSpec
from tests.helpers.small_sets import stripes

SIDE, CLASSES = 16, 4
SPEC = ModelSpec("vgg11", (6, 8, 8, 8, 8, 8, 8, 12), CLASSES)
UNPRUNED = replace(SPEC, widths=tuple(width + 3 for width in SPEC.widths))
PLAN = ChannelPlan({layer: tuple(range(2, width + 2)) for layer, width in SPEC.width_of.items()})
WEIGHTS = Path(__file__).with_name("stripes.safetensors")
"""Of SPEC, written by make_stripes.py."""
SURE = 1.0
"""Its `margin` on val and on test images is larger: int8 and bf16, which must stay within half of it, leave all classes
as they are. They come to less than a tenth."""


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
    info = CheckpointInfo(draw(folder / "set.h5"), UNPRUNED, PLAN)
    model = BilinearCNN(SPEC).eval()
    model.load_state_dict(load_file(WEIGHTS))
    save(folder / "model.safetensors", model, info)
    return Trained(folder, model, info)


@dataclass(frozen=True)
class Deployed:
    folder: Path
    said: str
    """Without line breaks."""
    home: Path


@pytest.fixture(scope="session")
def deployed(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """In a process of its own, as a user runs it, with a home folder that nobody has used."""
    home = tmp_path_factory.mktemp("home")
    command = [sys.executable, "-m", "experiments.deploy", str(trained.checkpoint), "--data", str(trained.data)]
    output = subprocess.run(
        [*command, "--threads", "1", "--no-time"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(home), "OMP_NUM_THREADS": "1"},
    )
    return Deployed(trained.folder / "deployed", " ".join(output.stdout.split()), home)


def draw(path: Path) -> ModelCard:
    """Write the set that the network was trained on; the network's description."""
    held = stripes(path, "drawn-cars4", CLASSES, SIDE, per_class=(40, 12, 20))
    return ModelCard(SPEC, held.class_names, held.name, held.side)


def margin(logits: Logits, labels: Int64[np.ndarray, " images"]) -> float:
    """The least by which an image's own class leads the next, of the largest logit.

    Logits that are less than half of it away name the same classes."""
    right = np.arange(CLASSES) == labels[:, None]
    lead = logits[right] - np.where(right, -np.inf, logits).max(1)
    return float(lead.min() / np.abs(logits).max())


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Opening a checkpoint sets torch's number of threads for the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
