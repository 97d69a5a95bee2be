"""Files of a VGG as people save them: what is read gives the same network, and what is not says why."""

import argparse
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.checkpoint import CheckpointInfo, save
from bcnn_prune.model.init import fresh
from bcnn_prune.model.pretrained_files import read_trunk
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.spec import ModelSpec

SPEC = ModelSpec.of("vgg11", 3, 0.125)
State = dict[str, Tensor]


@cache
def trunk() -> State:
    """A small VGG-11-BN in torchvision's names, with its counters and without a classifier."""
    model = fresh(SPEC, torch.Generator().manual_seed(0))
    return {f"features.{i}.{k}": v for i, part in enumerate(model.trunk) for k, v in part.state_dict().items()}


def whole() -> State:
    return {**trunk(), "classifier.weight": torch.ones(3, 4), "classifier.bias": torch.ones(3)}


def prefixed(prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in whole().items()}


def as_torch(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


WAYS: dict[str, Callable[[], Any]] = {
    "whole": whole,
    "trunk alone": trunk,
    "DataParallel": lambda: prefixed("module."),
    "compiled": lambda: prefixed("_orig_mod."),
    "compiled in DataParallel": lambda: prefixed("module._orig_mod."),
    "in a larger model": lambda: {**prefixed("backbone."), "head.weight": torch.ones(2, 2)},
    "state_dict": lambda: {"epoch": 3, "state_dict": whole()},
    "model": lambda: {"model": prefixed("module."), "optimizer": {"state": {0: {"step": torch.ones(1)}}}},
    "model_state_dict": lambda: {"loss": torch.ones(()), "model_state_dict": whole()},
    "nested twice": lambda: {"checkpoint": {"model": whole(), "epoch": 3}},
    "without counters": lambda: {k: v for k, v in whole().items() if "tracked" not in k},
}


@pytest.mark.parametrize("way", WAYS)
def test_what_training_scripts_save_gives_the_same_trunk(way: str, tmp_path: Path) -> None:
    trunk = read_trunk(as_torch(tmp_path / "vgg.pth", WAYS[way]()), SPEC)
    assert_is_the_trunk(trunk)


@pytest.mark.parametrize("name", ["vgg.safetensors", "vgg.pth", "vgg"])
def test_safetensors_are_known_by_their_content(name: str, tmp_path: Path) -> None:
    save_file(prefixed("module."), tmp_path / name)
    assert_is_the_trunk(read_trunk(tmp_path / name, SPEC))


@pytest.mark.parametrize("number_format", [torch.float16, torch.bfloat16, torch.float64])
def test_other_number_formats_are_read_as_they_are(number_format: torch.dtype, tmp_path: Path) -> None:
    cast = {k: v.to(number_format) if v.is_floating_point() else v for k, v in whole().items()}
    trunk = read_trunk(as_torch(tmp_path / "vgg.pth", cast), SPEC)
    assert all(tensor.dtype == number_format for tensor in trunk.values())
    torch.testing.assert_close(trunk["conv5_2.weight"], cast["features.25.weight"], rtol=0, atol=0)


def test_a_checkpoint_of_this_project_gives_its_trunk(tmp_path: Path) -> None:
    model = fresh(SPEC, torch.Generator().manual_seed(0))
    card = ModelCard(SPEC, ("a", "b", "c"), "drawn-cars", side=16)
    save(tmp_path / "model.safetensors", model, CheckpointInfo(card, SPEC, ChannelPlan.keep_all(SPEC)))
    assert_is_the_trunk(read_trunk(tmp_path / "model.safetensors", SPEC))


def assert_is_the_trunk(trunk: Mapping[str, Tensor]) -> None:
    wanted = fresh(SPEC, torch.Generator().manual_seed(0)).trunk.state_dict()
    assert set(trunk) == {name for name in wanted if "tracked" not in name}
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in trunk.items())


def without(part: str) -> State:
    return {name: tensor for name, tensor in whole().items() if part not in name}


UNFIT: dict[str, tuple[Callable[[], Any], ModelSpec, str]] = {
    "depth": (
        whole,
        ModelSpec.of("vgg16", 3, 0.125),
        "it holds a VGG-11 with BatchNorm, this run trains a VGG-16 with BatchNorm: take --backbone vgg11, or",
    ),
    "no VGG's depth": (
        lambda: {k: v for k, v in whole().items() if not k.startswith("features.25.")},
        SPEC,
        "it holds a network of 7 convolutions with BatchNorm, this run",
    ),
    "without BatchNorm": (
        lambda: torchvision.models.vgg11().state_dict(),
        ModelSpec.of("vgg11", 3),
        "it holds a VGG-11 without BatchNorm, this run trains a VGG-11 with BatchNorm: take a file of vgg11_bn",
    ),
    "with BatchNorm": (whole, replace(SPEC, batch_norm=False), "without BatchNorm: take a file of vgg11"),
    "width": (
        whole,
        ModelSpec.of("vgg11", 3, 0.25),
        "conv1_1 has 8 channels in it and 16 in this run: take --width 0.125, or another file",
    ),
    "pruned": (
        whole,
        replace(SPEC, widths=(*SPEC.widths[:3], 7, *SPEC.widths[4:])),
        "conv3_2 has 32 channels in it and 7 in this run: take --width 0.125",
    ),
    "grey images": (
        lambda: {**whole(), "features.0.weight": torch.ones(8, 1, 3, 3)},
        SPEC,
        "features.0.weight has shape (8, 1, 3, 3), this run needs (8, 3, 3, 3)",
    ),
    "no statistics": (lambda: without("running"), SPEC, "features.1.running_mean is missing in what is a VGG-11 with"),
    "whole numbers": (
        lambda: {**whole(), "features.4.bias": torch.ones(16, dtype=torch.int8)},
        SPEC,
        "features.4.bias is torch.int8: give fp16, bf16 or fp32",
    ),
    "another network": (
        lambda: {"state_dict": {"conv1.weight": torch.ones(4, 3, 7, 7), "bn1.weight": torch.ones(4)}},
        SPEC,
        "whose first layer is features.0.weight: its keys are conv1.weight, bn1.weight",
    ),
    "many keys": (
        lambda: {f"layer{i}.weight": torch.ones(1) for i in range(60)},
        SPEC,
        "its keys are layer0.weight, layer1.weight, layer2.weight, layer3.weight and 56 more",
    ),
    "no tensors": (lambda: {"epoch": 3}, SPEC, "its keys are epoch"),
    "nothing": (dict, SPEC, "its keys are none"),
    "a list": (lambda: [torch.ones(1)], SPEC, "it holds a list, not a state_dict: save model.state_dict()"),
    "arguments": (
        lambda: {"args": argparse.Namespace(lr=0.1), "model": whole()},
        SPEC,
        "holds argparse.Namespace beside or around its tensors, and reading that could run code: nothing was loaded; "
        "where you trust it, save the weights alone, torch.save(model.state_dict(), FILE)",
    ),
    "a whole model": (lambda: torch.nn.Sequential(torch.nn.ReLU()), SPEC, "torch.nn.modules.container.Sequential"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_does_not_fit_names_the_cause_and_the_way_out(case: str, tmp_path: Path) -> None:
    content, spec, message = UNFIT[case]
    path = as_torch(tmp_path / "vgg.pth", content())
    with pytest.raises(ValueError, match=r"vgg\.pth") as refused:
        read_trunk(path, spec)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_bare_pickle_and_a_script_say_what_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "vgg.pth"
    torch.save({"args": argparse.Namespace(), **whole()}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"holds argparse\.Namespace beside"):
        read_trunk(path, SPEC)
    with warnings.catch_warnings(action="ignore"):  # it is deprecated, and its files are still about
        torch.jit.script(torch.nn.ReLU()).save(path)  # type: ignore[no-untyped-call]
    with pytest.raises(ValueError, match="holds a TorchScript program"):
        read_trunk(path, SPEC)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"no weights" * 99])
def test_a_damaged_file_is_called_damaged(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = as_torch(tmp_path / "vgg.pth", whole())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"vgg\.pth is no file of plain tensors, or it is damaged"):
        read_trunk(path, SPEC)
