"""The trunk that comes with the project: its file is what its page says, and it fits one network."""

import hashlib
from configparser import ConfigParser
from fnmatch import fnmatch
from importlib.resources import as_file
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from bcnn_prune.data.augment import normalised
from bcnn_prune.model.init import TINY, at_own_widths, fresh, tiny
from bcnn_prune.spec import ModelSpec

ROOT = Path(__file__).parents[2]
SPEC = ModelSpec.of("vgg16", 5, 0.25)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_page_names_the_file_by_its_digest() -> None:
    with as_file(TINY) as path:
        content = path.read_bytes()
        page = path.with_name("README.md").read_text("utf-8")
    assert len(content) < 4e6
    assert f"`{hashlib.sha256(content).hexdigest()}`" in page
    assert f"{len(content) / 1e6:.2f} MB" in page


def test_the_file_is_installed_with_the_package() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    patterns = setup["options.package_data"]["bcnn_prune"].split()
    with as_file(TINY) as path:
        for file in (path, path.with_name("README.md")):
            inside = file.relative_to(ROOT / "bcnn_prune").as_posix()
            assert any(fnmatch(inside, pattern) for pattern in patterns)


def test_it_is_the_trunk_of_torchvisions_layout() -> None:
    """Read by position, as torchvision would: the same maps."""
    model = tiny(SPEC, generator()).eval()
    plain = nn.Sequential(*fresh(SPEC, generator()).trunk).eval()
    with as_file(TINY) as path:
        saved = {name.removeprefix("features."): value.float() for name, value in load_file(path).items()}
    plain.load_state_dict({name: value.long() if "tracked" in name else value for name, value in saved.items()})
    images = normalised(torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8, generator=generator()))
    with torch.no_grad():
        maps = plain(images)
        assert torch.equal(model.trunk(images), maps)
    assert maps.std() > 0.01


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            ModelSpec.of("vgg16", 5),
            "--weights tiny: conv1_1 has 16 channels in it and 64 in this run: take --width",
        ),
        (ModelSpec.of("vgg11", 5, 0.25), "--weights tiny: it holds a VGG-16 with BatchNorm, this run trains a VGG-11"),
    ],
)
def test_another_network_is_refused_with_both_numbers(spec: ModelSpec, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        tiny(spec, generator())


def test_its_own_widths_are_a_quarter() -> None:
    assert at_own_widths("tiny", ModelSpec.of("vgg16", 5, 0.125)) == SPEC
    with pytest.raises(ValueError, match="take --backbone vgg16"):
        at_own_widths("tiny", ModelSpec.of("vgg11", 5, 0.125))
