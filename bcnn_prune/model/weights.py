"""Weights in and out: fresh, ImageNet, a VGG file; checkpoints that describe themselves.

Nothing is unpickled that could run code: safetensors, or torch.load(weights_only=True)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cattrs
import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bcnn_prune.about import About
from bcnn_prune.files import replacing, require_file
from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.spec import ModelSpec

FORMAT = "bcnn-prune checkpoint"
VERSION = 2


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
    """`spec` with timm's ImageNet weights in the trunk and a fresh classifier.

    Raises ValueError where the widths are not VGG's, ConnectionError where the weights cannot be fetched."""
    import timm  # two seconds that only this start of all costs

    name = f"vgg{spec.depth}" + "_bn" * spec.batch_norm
    if spec.widths != ModelSpec.vgg(spec.depth, spec.classes).widths:
        raise ValueError("ImageNet weights fit the full width only: take --width 1, or --weights none")
    try:
        source = timm.create_model(name, pretrained=True)
    except Exception as error:  # the hub's client raises a dozen unrelated types, all meaning "not fetched"
        raise ConnectionError(
            f"no ImageNet weights for {name}: fetch model.safetensors of timm/{name}.tv_in1k from the Hugging Face "
            "hub by hand (or torchvision's file of the same network) and give it as --weights FILE"
        ) from error
    return _with_trunk(spec, source.state_dict(), generator)


def from_file(path: Path, spec: ModelSpec, generator: torch.Generator) -> BilinearCNN:
    """`spec` with the trunk of a torchvision or timm VGG-BN file (.pth or .safetensors) and a fresh classifier."""
    require_file(path, "give a VGG-BN file of torchvision or timm")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # what a damaged or hostile file makes of a zip or a pickle has no common type
        raise ValueError(f"{path} is no file of plain tensors, or it is damaged: nothing was loaded from it") from error
    try:
        return _with_trunk(spec, state, generator)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _with_trunk(spec: ModelSpec, state: dict[str, Tensor], generator: torch.Generator) -> BilinearCNN:
    """Both layouts number the trunk's modules alike: features.0 is conv1_1, features.1 its BN, features.2 its ReLU."""
    model = fresh(spec, generator)
    modules = {f"features.{i}": module for i, module in enumerate(model.trunk)}
    wanted = {f"{at}.{name}": tensor for at, module in modules.items() for name, tensor in module.state_dict().items()}
    for name, tensor in wanted.items():
        if name.endswith("num_batches_tracked"):  # older files lack the counter, which nothing here reads
            continue
        if not isinstance(state, dict) or not isinstance(state.get(name), Tensor):
            kind = "with" if spec.batch_norm else "without"
            raise ValueError(f"no VGG-{spec.depth} {kind} BatchNorm: {name} is missing")
        if state[name].shape != tensor.shape:
            raise ValueError(f"{name} has shape {tuple(state[name].shape)}, this network needs {tuple(tensor.shape)}")
        tensor.copy_(state[name])
    require_finite(wanted)
    return model


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself: enough to run it on an image and to trace its channels back."""

    about: About
    unpruned: ModelSpec
    """The network that was pruned."""
    plan: ChannelPlan
    """The kept channels in its numbering."""

    def __post_init__(self) -> None:
        self.plan.require_leads(self.unpruned, self.about.spec)


_converter = cattrs.Converter(forbid_extra_keys=True)


def save(path: Path, model: BilinearCNN, info: CheckpointInfo) -> None:
    """Write the network and its description as one safetensors file, whole or not at all."""
    fields = {"version": VERSION, **_converter.unstructure(info)}
    write_tensors(path, model.state_dict(), {"format": FORMAT, "about": json.dumps(fields, ensure_ascii=False)})


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors, whole or not at all. Raises OSError on a full disk."""
    with replacing(path) as partial:
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
        fields = json.loads(metadata["about"])
        version = fields.pop("version")
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} does not say what it holds") from error
    if version != VERSION:
        raise ValueError(f"{path} has version {version}, this program reads version {VERSION}: run what wrote it again")
    try:
        info = _converter.structure(fields, CheckpointInfo)
        model = BilinearCNN(info.about.spec)
        model.load_state_dict(load_file(path))
    except (ValueError, RuntimeError, cattrs.BaseValidationError) as error:
        raise ValueError(f"{path} does not hold the network it describes") from error
    try:
        require_finite(model.state_dict())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return model, info


def require_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError that names the first tensor with numbers that are not finite."""
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(
                f"{name} holds numbers that are not finite: its training diverged, or the file is damaged; take another"
            )


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias
