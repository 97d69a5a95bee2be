"""A backbone and a head that are defined here, and a MobileNet, from the command to the exported file."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from bcnn_prune.backbones import BACKBONES, Backbone, block
from bcnn_prune.data.augment import normalised
from bcnn_prune.deployment.export import onnx_graph, write_onnx
from bcnn_prune.deployment.fold import folded
from bcnn_prune.deployment.registry import open_onnx
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.heads import HEADS, Head
from bcnn_prune.layers import Activation, Conv, Layer, Layers, Line, Step
from bcnn_prune.model.checkpoint import load
from bcnn_prune.model.modules import build
from bcnn_prune.records import read_record
from experiments import oneshot
from experiments.recipes import RECIPES
from experiments.run import execute
from experiments.run.settings import REDUCED
from tests.helpers.small_runs import RECIPE, SET
from tests.helpers.small_sets import colours

SIDE = 32
THESIS = RECIPES["thesis"]


class Maximum(Layer):
    """The largest value of each channel: all that a new head has to say of itself."""

    def out(self, x: Activation, name: str) -> Activation:
        return replace(x, side=1)

    def lines(self, name: str, x: Activation, y: Activation) -> dict[str, Line]:
        return {name: Line(y.size, elementwise=x.size - y.size)}


class Largest(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps.amax((2, 3))  # torch 2.11 does not export adaptive_max_pool2d


@build.register
def _(layer: Maximum, step: Step) -> nn.Module:
    return Largest()


def two_convolutions(widths: Iterator[int], batch_norm: bool) -> Layers:
    """One of 5 × 5 and stride 2, and one in two groups."""
    first = block("a", Conv(next(widths), kernel=5, stride=2, padding=2), batch_norm)
    return first | block("b", Conv(next(widths), groups=2), batch_norm)


@pytest.fixture
def new_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "made-up", Backbone(two_convolutions, widths=(12, 16), side=SIDE))
    monkeypatch.setitem(HEADS, "maximum", Head({"pooling": Maximum()}))
    # From fresh weights: all that is asserted holds whatever is learned, and steps this small do not diverge.
    monkeypatch.setattr(execute, "require_learned", lambda *_: None)
    phases = {name: replace(getattr(THESIS, name), learning_rate=1e-5) for name in ("dense", "sparse", "fine_tune")}
    monkeypatch.setitem(RECIPES, "thesis", replace(THESIS, **phases))


@pytest.mark.usefixtures("new_names")
@pytest.mark.parametrize(
    ("backbone", "width", "head"),
    [
        ("made-up", 1, "maximum"),
        ("made-up", 1, "bilinear"),
        ("mobilenet", 0.0625, "reduced"),
        ("vgg11", 0.06, "maximum"),
    ],
)
def test_a_network_passes_from_the_command_to_the_exported_file(
    backbone: str, width: float, head: str, tmp_path: Path
) -> None:
    info = colours(tmp_path / "set.h5", SET, SIDE)
    settings = oneshot.Settings(
        dataset=SET,
        data=tmp_path / "set.h5",
        out=tmp_path / "runs",
        backbone=backbone,
        width=width,
        head=head,
        # Of fewer, an image may have none above zero, and its unit vector is that of rounding.
        reduce_to=24 if HEADS[head].reduces else REDUCED,
        weights="none",
        prune=0.3,
        min_channels=2,
        recalibrate=32,
        dense_epochs=1,
        sparse_epochs=1,
        fine_tune_epochs=1,
        **RECIPE,
    )
    oneshot.main(settings)
    (folder,) = (tmp_path / "runs" / "oneshot" / SET).iterdir()
    (step,) = (record := read_record(folder / "record.json")).steps
    assert step.certificate < 1e-4
    assert 0 < record.spec.channels - step.spec.channels <= round(0.3 * record.spec.channels)
    model, described = load(folder / "model.safetensors")
    assert model.spec == step.spec == described.card.spec
    assert total_cost(model.spec, SIDE).params == sum(parameter.numel() for parameter in model.parameters())
    write_onnx(tmp_path / "model.onnx", onnx_graph(folded(model.eval()), described.card))
    pixels = np.random.default_rng(0).integers(0, 256, (3, info.side, info.side, 3), np.uint8)
    exported = torch.from_numpy(open_onnx(tmp_path / "model.onnx", threads=1).run(pixels))
    expected = model(normalised(torch.from_numpy(pixels).permute(0, 3, 1, 2))).detach()
    assert_close(exported, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
