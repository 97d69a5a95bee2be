"""Find a trunk in what people save of a network, by the names of its layers, and say why where it does not fit.

Taken are the layers as others publish them (backbones.Published: features.0.weight, conv_stem.weight) and those of
this project's checkpoints (trunk.conv1_1.weight), in fp16, bf16, fp32 or fp64, under any prefix that a wrapper put
before them (module., _orig_mod.) and in a mapping inside the file (state_dict, model)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bcnn_prune.backbones import BACKBONES
from bcnn_prune.heads import REDUCTION
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.model.tensor_files import few, mappings_in, read_saved, require_finite
from bcnn_prune.spec import ModelSpec

OWN = "trunk."
"""Before the names of layers in this project's checkpoints."""
OWN_REDUCTION = {OWN + name for name in REDUCTION}
"""Layers there that belong to a head."""

Shape = tuple[int, ...]


def read_trunk(path: Path, spec: ModelSpec, called: str = "") -> dict[str, Tensor]:
    """The trunk's tensors in the file, named as in the trunk of `spec`'s network ("conv1_1.weight").

    Raises ValueError that names the file (by what it is `called`), what is in it, and what to give instead."""
    saved = read_saved(path)
    try:
        return _fitting(_found(saved, spec.bare), spec.bare)
    except ValueError as error:
        raise ValueError(f"{called or path}: {error}") from error


def widths_in(path: Path, spec: ModelSpec, called: str = "") -> Shape:
    """The widths of the trunk in the file, which has the layers of `spec`. Raises ValueError as `read_trunk` does."""
    saved = read_saved(path)
    try:
        return _found(saved, spec.bare).widths(spec.bare)
    except ValueError as error:
        raise ValueError(f"{called or path}: {error}") from error


def published_layout(model: BilinearCNN) -> dict[str, Tensor]:
    """The trunk's tensors by the names that others publish them under, or by a checkpoint's where nobody does; as
    `read_trunk` reads them."""
    names = _layouts(model.spec.bare)[0].names
    return {
        f"{names[layer]}.{part}": tensor for layer in names for part, tensor in model.layer(layer).state_dict().items()
    }


@dataclass(frozen=True)
class _Layout:
    """Names of a trunk's layers with tensors in one kind of file, by ours."""

    spec: ModelSpec
    names: Mapping[str, str]

    @property
    def first(self) -> str:
        return next(iter(self.names.values())) + ".weight"

    def among(self, tensors: Mapping[str, Tensor]) -> "_Trunk | None":
        """The trunk in the tensors of a file, under the shortest prefix, where its first layer is there."""
        prefixes = [key.removesuffix(self.first) for key in tensors if key.endswith(self.first)]
        if not prefixes:
            return None
        prefix = min(prefixes, key=len)
        tensors = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        return _Trunk(tensors, self)


@dataclass(frozen=True)
class _Trunk:
    """A trunk in a file: its tensors, and what they are taken for."""

    tensors: Mapping[str, Tensor]
    layout: _Layout

    @property
    def layers(self) -> dict[str, int]:
        """The axes of the weights of its layers, by their name in the file: 4 of a convolution, 1 of a BatchNorm."""
        outer = {name.split(".")[0] for name in self.layout.names.values()}
        found = {}
        for key, tensor in self.tensors.items():
            name, _, part = key.rpartition(".")
            if part == "weight" and name.split(".")[0] in outer and name not in OWN_REDUCTION:
                found[name] = tensor.ndim
        return found

    @property
    def complete(self) -> bool:
        """Whether its layers are those of the layout, no more and no fewer."""
        return set(self.layers) == set(self.layout.names.values())

    def widths(self, spec: ModelSpec) -> Shape:
        return tuple(len(self.tensors[f"{self.layout.names[layer]}.weight"]) for layer in spec.layers)

    def __str__(self) -> str:
        axes = list(self.layers.values())
        return (
            _kind(self.layout.spec) if self.complete else _kind(f"network of {axes.count(4)} convolutions", 1 in axes)
        )


def _kind(network: ModelSpec | str, batch_norm: bool = False) -> str:
    """A network in words: a VGG-16 with BatchNorm."""
    if isinstance(network, ModelSpec):
        return _kind(network.backbone_title, network.batch_norm)
    return f"a {network} {'with' if batch_norm else 'without'} BatchNorm"


def _layouts(spec: ModelSpec) -> list[_Layout]:
    """The kinds of files that may hold the trunk of `spec`."""
    published = BACKBONES[spec.backbone].published
    theirs = published.names(spec.trunk) if published else {}
    held = [s.name for s in spec.steps() if s.name in spec.trunk and s.layer.axes(s.x, s.y)]
    own = _Layout(spec, {name: OWN + name for name in held})
    return [_Layout(spec, {name: theirs[name] for name in held}), own] if published else [own]


def _all_layouts(spec: ModelSpec) -> Iterator[_Layout]:
    """Those of `spec`, then those of all other networks."""
    yield from _layouts(spec)
    for backbone in BACKBONES:
        for batch_norm in (True, False):
            yield from _layouts(ModelSpec.of(backbone, spec.classes, head="average", batch_norm=batch_norm))


def _found(saved: Any, spec: ModelSpec) -> _Trunk:
    """The trunk in the file, whose layers are those of `spec`.

    Raises ValueError with what is there instead, or a list of keys where there is none."""
    mappings = mappings_in(saved)
    for tensors in mappings:
        incomplete = None
        for layout in _all_layouts(spec):
            if (trunk := layout.among(tensors)) and trunk.complete:
                _require_layers(trunk, spec)
                return trunk
            incomplete = incomplete or trunk
        if incomplete:
            _require_layers(incomplete, spec)
    keys = [key for tensors in mappings for key in tensors] or [str(key) for key in saved]
    raise ValueError(
        f"it holds no {spec.backbone_title}, whose first layer is {_layouts(spec)[0].first}: its keys are {few(keys)}"
    )


def _require_layers(trunk: _Trunk, spec: ModelSpec) -> None:
    """Raise ValueError unless the layers are those of `spec`, with both networks and the way out."""
    found = trunk.layout.spec
    if trunk.complete and found == spec:
        return
    way_out = "take another file"
    if trunk.complete and found.backbone != spec.backbone:
        way_out = f"take --backbone {found.backbone}, or another file"
    elif trunk.complete:
        published = BACKBONES[spec.backbone].published
        way_out = f"take a file of {(published and published.file_of(spec.batch_norm)) or _kind(spec)}"
    raise ValueError(f"it holds {trunk}, this run trains {_kind(spec)}: {way_out}")


def _fitting(trunk: _Trunk, spec: ModelSpec) -> dict[str, Tensor]:
    """The tensors by their names in the trunk of `spec`. Raises ValueError with what differs and the way out."""
    _require_widths(trunk, spec)
    with torch.device("meta"):
        wanted = BilinearCNN(spec).trunk.state_dict()
    fitting, checked = {}, {}
    for name, tensor in wanted.items():
        layer, _, part = name.rpartition(".")
        if part == "num_batches_tracked":  # older files lack the counter, which nothing here reads
            continue
        theirs = f"{trunk.layout.names[layer]}.{part}"
        if theirs not in trunk.tensors:
            raise ValueError(f"{theirs} is missing in what is {trunk} otherwise: give the whole state_dict")
        found = checked[theirs] = fitting[name] = trunk.tensors[theirs]
        if found.shape != tensor.shape:
            raise ValueError(f"{theirs} has shape {tuple(found.shape)}, this run needs {tuple(tensor.shape)}")
        if not found.is_floating_point():
            raise ValueError(f"{theirs} is {found.dtype}: give fp16, bf16 or fp32")
    require_finite(checked)
    return fitting


def _require_widths(trunk: _Trunk, spec: ModelSpec) -> None:
    """Raise ValueError, with both numbers, unless the widths are those of `spec`."""
    for layer, width, wanted in zip(spec.layers, trunk.widths(spec), spec.widths, strict=True):
        if width != wanted:
            raise ValueError(f"{layer} has {width} channels in it and {wanted} in this run: {_way_out(trunk, spec)}")


def _way_out(trunk: _Trunk, spec: ModelSpec) -> str:
    found = trunk.widths(spec)
    width = found[0] / BACKBONES[spec.backbone].widths[0]
    if found == ModelSpec.of(spec.backbone, spec.classes, width, spec.head).widths:
        return f"take --width {width:g}, or another file; --narrow cuts a wider one to this run's width"
    return "it was pruned or is another network; take an unpruned one"
