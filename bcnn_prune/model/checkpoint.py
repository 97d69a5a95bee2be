"""Checkpoints: weights and a description of the network in one safetensors file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from safetensors.torch import load_file, save_file
from torch import Tensor

from bcnn_prune.files import atomic_write, require_file
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.model.tensor_files import require_finite
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.records.json_file import CONVERTER, VersionMismatch, parse, to_fields
from bcnn_prune.spec import ModelSpec

FORMAT = "bcnn-prune checkpoint"
VERSION = 2


@dataclass(frozen=True)
class CheckpointInfo:
    """The description in a checkpoint: enough to run it on an image and to trace its channels back."""

    card: ModelCard
    """Files call it "about"."""
    unpruned: ModelSpec
    """The network that was pruned."""
    plan: ChannelPlan
    """The kept channels in its numbering."""

    def __post_init__(self) -> None:
        self.plan.require_leads(self.unpruned, self.card.spec)


_CARD = override(rename="about")
CONVERTER.register_unstructure_hook(CheckpointInfo, make_dict_unstructure_fn(CheckpointInfo, CONVERTER, card=_CARD))
CONVERTER.register_structure_hook(
    CheckpointInfo, make_dict_structure_fn(CheckpointInfo, CONVERTER, _cattrs_forbid_extra_keys=True, card=_CARD)
)


def save(path: Path, model: BilinearCNN, info: CheckpointInfo) -> None:
    """Write the network and its description as one safetensors file, whole or not at all."""
    description = json.dumps(to_fields(info, VERSION), ensure_ascii=False)
    write_tensors(path, model.state_dict(), {"format": FORMAT, "about": description})


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors, whole or not at all. Raises OSError on a full disk."""
    with atomic_write(path) as partial:
        try:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial, metadata)
        except safetensors.SafetensorError as error:
            raise OSError(f"{path} cannot be written (is the disk full?): {error}") from error


def load(path: Path) -> tuple[BilinearCNN, CheckpointInfo]:
    """The network and the description that `save` wrote, on the CPU.

    Raises OSError where there is no file that may be read, ValueError for a file of another kind, for one that is
    damaged and for numbers that are not finite; each names the file."""
    require_file(path)
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no safetensors file, or it is damaged") from error
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} is no checkpoint of this project")
    try:
        info = parse(metadata["about"], CheckpointInfo, VERSION)
    except VersionMismatch as error:
        raise ValueError(f"{path}: {error}: run what wrote it again") from error
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} does not describe a network: {error}") from error
    try:
        model = BilinearCNN(info.card.spec)
        model.load_state_dict(load_file(path))
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path} does not hold the network it describes") from error
    try:
        require_finite(model.state_dict())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return model, info
