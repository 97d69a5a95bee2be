"""Read the trunk of a VGG from what people save of one: safely, and with the reason where it does not fit.

Taken are torchvision's and timm's layers (features.0.weight) and those of this project's checkpoints
(trunk.conv1_1.weight), in fp16, bf16, fp32 or fp64, under any prefix that a wrapper put before them (module.,
_orig_mod.) and in a mapping inside the file (state_dict, model). Nothing is unpickled that could run code."""

import pickle
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from bcnn_prune.backbones import BACKBONES
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.spec import ModelSpec

VGGS = {len(BACKBONES[name].widths): name for name in ("vgg11", "vgg13", "vgg16", "vgg19")}
"""By the number of their convolutions."""

CONVOLUTION = re.compile(
    r"(?P<prefix>.*?)(?P<name>features\.(?P<index>\d+)|trunk\.conv(?P<stage>\d)_(?P<place>\d))\.weight"
)

Shape = tuple[int, ...]


def read_trunk(path: Path, spec: ModelSpec, called: str = "") -> dict[str, Tensor]:
    """The trunk's tensors in the file, named as in the trunk of `spec`'s network ("conv1_1.weight").

    Raises ValueError that names the file (by what it is `called`), what is in it, and what to give instead."""
    saved = _saved(path)
    try:
        return _fitting(_found(saved), require_vgg(spec.bare))
    except ValueError as error:
        raise ValueError(f"{called or path}: {error}") from error


def require_vgg(spec: ModelSpec) -> ModelSpec:
    """`spec`. Raises ValueError where it is no VGG, of which alone files are read."""
    if spec.backbone not in VGGS.values():
        raise ValueError(f"there are no pretrained weights for {spec.backbone}: take --weights none, or a VGG")
    return spec


def widths_in(path: Path, spec: ModelSpec, called: str = "") -> Shape:
    """The widths of the trunk in the file, which has the layers of `spec`. Raises ValueError as `read_trunk` does."""
    saved = _saved(path)
    try:
        trunk = _found(saved)
        _require_layers(trunk, require_vgg(spec.bare))
    except ValueError as error:
        raise ValueError(f"{called or path}: {error}") from error
    return trunk.widths


def torchvision_layout(model: BilinearCNN) -> dict[str, Tensor]:
    """The trunk's tensors by torchvision's names: features.0.weight and so on, as `read_trunk` reads them."""
    return {
        f"features.{i}.{name}": tensor
        for i, module in enumerate(model.trunk)
        for name, tensor in module.state_dict().items()
    }


@dataclass(frozen=True)
class _Trunk:
    """The trunk in a file: its tensors, and the names of its layers in order."""

    tensors: Mapping[str, Tensor]
    convs: tuple[str, ...]

    @property
    def norms(self) -> tuple[str, ...]:
        """The BatchNorms: one behind each convolution, or none."""
        return tuple(norm for conv in self.convs if f"{(norm := _norm_of(conv))}.weight" in self.tensors)

    @property
    def widths(self) -> Shape:
        return tuple(len(self.tensors[f"{conv}.weight"]) for conv in self.convs)

    def __str__(self) -> str:
        name = (
            f"a {_title(len(self.convs))}"
            if len(self.convs) in VGGS
            else f"a network of {len(self.convs)} convolutions"
        )
        return f"{name} {'with' if self.norms else 'without'} BatchNorm"


def _title(convolutions: int) -> str:
    return VGGS[convolutions].upper().replace("VGG", "VGG-")


def _norm_of(conv: str) -> str:
    prefix, _, last = conv.rpartition(".")
    return f"{prefix}.{int(last) + 1}" if last.isdecimal() else f"{prefix}.{last.replace('conv', 'bn')}"


def _saved(path: Path) -> Any:
    """What the file holds, which may be anything that is made of tensors and plain values."""
    try:
        return load_file(path)
    except safetensors.SafetensorError:
        pass  # or it is torch's
    try:
        with warnings.catch_warnings(action="ignore"):  # what torch warns of here, it also refuses
            return torch.load(path, "cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        if more := _more_than_tensors(path, error):
            raise ValueError(
                f"{path} holds {more} beside or around its tensors, and reading that could run code: nothing was "
                "loaded; where you trust it, save the weights alone, torch.save(model.state_dict(), FILE)"
            ) from error
        raise _unreadable(path) from error
    except Exception as error:  # what a damaged file makes of a zip or a pickle has no common type
        raise _unreadable(path) from error


def _unreadable(path: Path) -> ValueError:
    return ValueError(
        f"{path} is no file of plain tensors, or it is damaged: nothing was loaded from it; give the state_dict of a "
        "VGG-BN as torch.save or safetensors wrote it"
    )


def _more_than_tensors(path: Path, error: Exception) -> str:
    """What torch refused to unpickle, such as argparse.Namespace; nothing where the file is merely damaged."""
    if "TorchScript" in str(error):
        return "a TorchScript program"
    try:
        refused = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except Exception:  # it reads zips only: of a bare pickle the error itself tells
        refused = re.findall(r"(?:GLOBAL|[Gg]lobal:?) ([\w.]+\.\w+)", str(error))[:1]
    return _few(refused) if refused else ""


def _found(saved: Any) -> _Trunk:
    """The VGG trunk in the file. Raises ValueError that lists keys where there is none."""
    if not isinstance(saved, Mapping):
        raise ValueError(f"it holds a {type(saved).__name__}, not a state_dict: save model.state_dict()")
    mappings = list(_mappings(saved))
    for tensors in mappings:
        trunks: dict[str, list[re.Match[str]]] = {}
        for key, value in tensors.items():
            if value.ndim == 4 and (match := CONVOLUTION.fullmatch(key)):
                trunks.setdefault(match["prefix"], []).append(match)
        if trunks:
            prefix = min(trunks, key=len)
            order = sorted(trunks[prefix], key=lambda match: [int(match[x] or 0) for x in ("index", "stage", "place")])
            return _Trunk(
                {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)},
                tuple(match["name"] for match in order),
            )
    keys = [key for tensors in mappings for key in tensors] or [str(key) for key in saved]
    raise ValueError(
        f"it holds no VGG of torchvision or timm, whose first layer is features.0.weight: its keys are {_few(keys)}"
    )


def _few(names: Sequence[str], shown: int = 4) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}" or "none"


def _mappings(saved: Mapping[Any, Any], deeper: int = 2) -> Iterator[dict[str, Tensor]]:
    """The tensors of a mapping by name, then those of mappings in it, as a training script saves them."""
    if tensors := {key: value for key, value in saved.items() if isinstance(key, str) and isinstance(value, Tensor)}:
        yield tensors
    for value in saved.values():
        if isinstance(value, Mapping) and deeper:
            yield from _mappings(value, deeper - 1)


def _fitting(trunk: _Trunk, spec: ModelSpec) -> dict[str, Tensor]:
    """The tensors by their names in the trunk of `spec`. Raises ValueError with what differs and the way out."""
    _require_layers(trunk, spec)
    _require_widths(trunk, spec)
    with torch.device("meta"):
        wanted = BilinearCNN(spec).trunk.state_dict()
    saved = dict(zip(spec.layers, trunk.convs, strict=True))
    saved |= {layer.replace("conv", "bn"): _norm_of(conv) for layer, conv in saved.items()}
    fitting, checked = {}, {}
    for name, tensor in wanted.items():
        layer, _, part = name.rpartition(".")
        if part == "num_batches_tracked":  # older files lack the counter, which nothing here reads
            continue
        theirs = f"{saved[layer]}.{part}"
        if theirs not in trunk.tensors:
            raise ValueError(f"{theirs} is missing in what is {trunk} otherwise: give the whole state_dict")
        found = checked[theirs] = fitting[name] = trunk.tensors[theirs]
        if found.shape != tensor.shape:
            raise ValueError(f"{theirs} has shape {tuple(found.shape)}, this run needs {tuple(tensor.shape)}")
        if not found.is_floating_point():
            raise ValueError(f"{theirs} is {found.dtype}: give fp16, bf16 or fp32")
    require_finite(checked)
    return fitting


def _require_layers(trunk: _Trunk, spec: ModelSpec) -> None:
    """Raise ValueError unless depth and BatchNorm are those of `spec`."""
    kind = f"a {_title(len(spec.layers))} {'with' if spec.batch_norm else 'without'} BatchNorm"
    if len(trunk.convs) != len(spec.layers):
        vgg = VGGS.get(len(trunk.convs))
        way_out = f"take --backbone {vgg}, or another file" if vgg else "take another file"
        raise ValueError(f"it holds {trunk}, this run trains {kind}: {way_out}")
    if len(trunk.norms) != spec.batch_norm * len(spec.layers):
        name = spec.backbone + "_bn" * spec.batch_norm
        raise ValueError(f"it holds {trunk}, this run trains {kind}: take a file of {name}")


def _require_widths(trunk: _Trunk, spec: ModelSpec) -> None:
    """Raise ValueError, with both numbers, unless the widths are those of `spec`."""
    for layer, width, wanted in zip(spec.layers, trunk.widths, spec.widths, strict=True):
        if width != wanted:
            raise ValueError(f"{layer} has {width} channels in it and {wanted} in this run: {_way_out(trunk, spec)}")


def _way_out(trunk: _Trunk, spec: ModelSpec) -> str:
    width = trunk.widths[0] / BACKBONES[spec.backbone].widths[0]
    if trunk.widths == ModelSpec.of(spec.backbone, spec.classes, width).widths:
        return f"take --width {width:g}, or another file; --narrow cuts a wider one to this run's width"
    return "it was pruned or is another network; take an unpruned one"


def require_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError that names the first tensor with numbers that are not finite."""
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(
                f"{name} holds numbers that are not finite: its training diverged, or the file is damaged; take another"
            )
