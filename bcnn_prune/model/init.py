"""Networks to start from: fresh weights, and pretrained trunks, from the hub, a file or this project."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import LocalEntryNotFoundError
from torch import Tensor, nn

from bcnn_prune.backbones import BACKBONES
from bcnn_prune.files import require_file
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.model.pretrained_files import read_trunk, widths_in
from bcnn_prune.spec import ModelSpec

PATIENCE = 5  # seconds for the hub to answer
WANTED = "give the weights of the same network, as torchvision, timm or this project saves them"
TINY = files("bcnn_prune") / "weights" / "vgg16_bn-width0.25-tinyimagenet.safetensors"
"""The trunk that comes with this project; README.md beside it says what it was trained on."""


def fresh(spec: ModelSpec, generator: torch.Generator) -> BilinearCNN:
    """A network to train from scratch: He's normal weights, BN scales at 0.5 (network slimming's start), no shift."""
    model = BilinearCNN(spec)
    for module in (*model.trunk, *model.head):
        match module:
            case nn.Conv2d():
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
                if module.groups > 1:  # He's fan_out counts the outputs of all groups for each input
                    module.weight.data *= module.groups**0.5
            case nn.Linear():
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            case nn.BatchNorm2d():
                nn.init.constant_(module.weight, 0.5)
                continue
            case _:
                continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    nn.init.kaiming_uniform_(model.classifier.weight, a=5**0.5, generator=generator)
    nn.init.zeros_(model.classifier.bias)
    return model


def imagenet(spec: ModelSpec, generator: torch.Generator) -> BilinearCNN:
    """`spec` with the ImageNet weights of its backbone, as timm publishes them, in the trunk and a fresh classifier.

    Raises ValueError where there are none or the widths are others, ConnectionError where they cannot be fetched."""
    published = BACKBONES[spec.backbone].published
    if published is None:
        those = ", ".join(name for name, known in BACKBONES.items() if known.published)
        raise ValueError(f"there are no ImageNet weights for {spec.backbone}: take --weights none, or one of {those}")
    if spec.batch_norm not in published.repositories:
        raise ValueError(f"there are no ImageNet weights for {spec.backbone} without BatchNorm: take --weights none")
    if spec.bare.widths != ModelSpec.of(spec.backbone, spec.classes, head="average").widths:
        raise ValueError("ImageNet weights fit the full width only: take --width 1, or --weights none")
    return _with_trunk(spec, read_trunk(_fetched(published.repositories[spec.batch_norm]), spec), generator)


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


def tiny(spec: ModelSpec, generator: torch.Generator) -> BilinearCNN:
    """`spec` with the trunk that comes with this project and a fresh classifier.

    Raises ValueError, with both numbers, for any other than a VGG-16-BN of a quarter of the width."""
    with as_file(TINY) as path:
        return _with_trunk(spec, read_trunk(path, spec, "--weights tiny"), generator)


def pretrained(weights: str, spec: ModelSpec, generator: torch.Generator) -> BilinearCNN:
    """`spec` with the trunk that --weights names, imagenet, tiny or a file, and a fresh classifier."""
    if weights in NAMED:
        return NAMED[weights](spec, generator)
    return from_file(Path(weights), spec, generator)


def at_own_widths(weights: str, spec: ModelSpec) -> ModelSpec:
    """`spec` with the widths of the trunk that --weights names."""
    if weights == "imagenet":
        widths = ModelSpec.of(spec.backbone, spec.classes, head="average").widths
    elif weights == "tiny":
        with as_file(TINY) as path:
            widths = widths_in(path, spec, "--weights tiny")
    else:
        require_file(Path(weights), WANTED)
        widths = widths_in(Path(weights), spec)
    return replace(spec, widths=(*widths, *spec.widths[len(widths) :]))


def from_file(path: Path, spec: ModelSpec, generator: torch.Generator) -> BilinearCNN:
    """`spec` with the trunk in a file (see `pretrained_files`) and a fresh classifier."""
    require_file(path, WANTED)
    return _with_trunk(spec, read_trunk(path, spec), generator)


def _with_trunk(spec: ModelSpec, tensors: Mapping[str, Tensor], generator: torch.Generator) -> BilinearCNN:
    model = fresh(spec, generator)
    parts = model.trunk.state_dict()
    for name, tensor in tensors.items():
        parts[name].copy_(tensor)  # to fp32 from whatever it was saved in
    return model


NAMED = {"imagenet": imagenet, "tiny": tiny}
"""Pretrained trunks that need no file of the user's."""
