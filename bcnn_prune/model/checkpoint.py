"""Weights in and out: fresh, ImageNet, a VGG file; checkpoints that describe themselves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bcnn_prune.files import atomic_write, require_file
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.model.vgg_files import read_trunk, require_finite
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.records.json_file import VersionMismatch, parse, to_fields
from bcnn_prune.spec import ModelSpec

FORMAT = "bcnn-prune checkpoint"
VERSION = 2
PATIENCE = 5  # seconds for the hub to answer


def fresh(spec: ModelSpec, generator: torch.Generator) -> BilinearCNN:
    """A network to train from scratch: He's normal weights, BN scales at 0.5 (network slimming's start), no shift."""
    model = BilinearCNN(spec)
    for conv in model.convs.values():
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        nn.init.zeros_(_bias(conv))
    for norm in model.norms.values():
        nn.init.constant_(norm.weight, 0.5)
    nn.init.kaiming_uniform_(model.classifier.weight, a=5**0.5, generator=generator)
    nn.init.zeros_(model.classifier.bias)
    return model


def imagenet(spec: ModelSpec, generator: torch.Generator) -> BilinearCNN:
    """`spec` with torchvision's ImageNet weights, as timm publishes them, in the trunk and a fresh classifier.

    Raises ValueError where the widths are not VGG's, ConnectionError where the weights cannot be fetched."""
    name = f"vgg{spec.depth}" + "_bn" * spec.batch_norm
    if spec.widths != ModelSpec.vgg(spec.depth, spec.classes).widths:
        raise ValueError("ImageNet weights fit the full width only: take --width 1, or --weights none")
    return _with_trunk(spec, read_trunk(_fetched(f"timm/{name}.tv_in1k"), spec), generator)


def _fetched(repository: str) -> Path:
    """The weights of a repository on the Hugging Face hub, from this machine's cache where they are in it.

    Raises ConnectionError, in one line and after seconds, where the hub does not answer: the client itself would go on
    asking for a minute."""
    file = "model.safetensors"
    try:
        try:
            return Path(hf_hub_download(repository, file, local_files_only=True))
        except LocalEntryNotFoundError:
            get_hf_file_metadata(hf_hub_url(repository, file), timeout=PATIENCE)
            return Path(hf_hub_download(repository, file))
    except Exception as error:  # the hub's client raises a dozen unrelated types, all meaning "not fetched"
        raise ConnectionError(
            f"--weights imagenet: {file} of {repository} is not on this machine, and the Hugging Face hub does not "
            "give it (is there a network?): fetch it, or torchvision's file of the same network, and give it as "
            "--weights FILE; or take --weights none"
        ) from error


def from_file(path: Path, spec: ModelSpec, generator: torch.Generator) -> BilinearCNN:
    """`spec` with the trunk of a VGG file (see `vgg_files`) and a fresh classifier."""
    require_file(path, "give a VGG-BN file of torchvision or timm")
    return _with_trunk(spec, read_trunk(path, spec), generator)


def _with_trunk(spec: ModelSpec, tensors: Mapping[str, Tensor], generator: torch.Generator) -> BilinearCNN:
    model = fresh(spec, generator)
    parts = model.trunk.state_dict()
    for name, tensor in tensors.items():
        parts[name].copy_(tensor)  # to fp32 from whatever it was saved in
    return model


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself: enough to run it on an image and to trace its channels back."""

    about: ModelCard
    unpruned: ModelSpec
    """The network that was pruned."""
    plan: ChannelPlan
    """The kept channels in its numbering."""

    def __post_init__(self) -> None:
        self.plan.require_leads(self.unpruned, self.about.spec)


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
        model = BilinearCNN(info.about.spec)
        model.load_state_dict(load_file(path))
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path} does not hold the network it describes") from error
    try:
        require_finite(model.state_dict())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return model, info


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias
