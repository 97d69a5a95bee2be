"""Exported graphs: what torch computes, in any batch, described in the file and naming nobody."""

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
import torch

from bcnn_prune.data.augment import normalised
from bcnn_prune.deployment.backends.torch import torch_runtime
from bcnn_prune.deployment.export import onnx_graph, openvino_graph, write_onnx, write_openvino
from bcnn_prune.deployment.fold import folded
from bcnn_prune.deployment.registry import open_onnx, open_openvino
from bcnn_prune.deployment.runtime import LoadedModel, Logits, Pixels
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.spec import ModelSpec
from tests.helpers.strategies import FP32_ROUNDING, TINY, random_model

SIDE = 20
NAMES = ("A & B", 'the "C" <D>', "Škoda\t 1/2\\n  Ω")
ODD = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.25)}


def pixels_of(count: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def exported(folder: Path, model: BilinearCNN, card: ModelCard) -> tuple[LoadedModel, LoadedModel]:
    graph = onnx_graph(folded(model), card)
    write_onnx(folder / "model.onnx", graph)
    write_openvino(folder / "model.xml", openvino_graph(graph), card)
    return open_onnx(folder / "model.onnx", 1), open_openvino(folder / "model.xml", 1)


@pytest.fixture(scope="module")
def graph() -> onnx.ModelProto:
    return onnx_graph(folded(random_model(TINY).float()), ModelCard(TINY, NAMES, "drawn-cars3", SIDE))


def difference(logits: Logits, expected: Logits) -> float:
    assert logits.dtype == np.float32
    return float(np.abs(logits - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize(
    "spec",
    [TINY, replace(TINY, batch_norm=False), replace(TINY, head="average")],
    ids=["bilinear", "without BatchNorm", "average"],
)
def test_exported_networks_compute_what_the_network_does_in_any_batch(spec: ModelSpec, tmp_path: Path) -> None:
    model, card = random_model(spec).float(), ModelCard(spec, NAMES, "drawn-cars3", SIDE, **ODD)
    run = torch_runtime(model, card, 1)
    for opened in exported(tmp_path, model, card):
        assert opened.card == card
        for batch in (3, 1, 6):
            pixels = pixels_of(batch, seed=batch)
            assert difference(opened.run(pixels), run(pixels)) < FP32_ROUNDING
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.onnx", "model.xml"]


def test_the_floor_of_the_signed_root_is_exported(tmp_path: Path) -> None:
    """Products below 1e-8, beside which the exporter's optimizer takes the root's 1e-8 for nothing."""
    model, card = random_model(TINY).float(), ModelCard(TINY, NAMES, "drawn-cars3", SIDE)
    last, pixels = model.norms[TINY.layers[-1]], pixels_of(4)
    without = torch_runtime(model, card, 1)(pixels)
    with torch.no_grad():
        scale = 3e-5 / model.trunk(normalised(torch.from_numpy(pixels).permute(0, 3, 1, 2))).max()
        last.weight *= scale
        last.bias *= scale
    expected = torch_runtime(model, card, 1)(pixels)
    assert difference(without, expected) > 0.01  # but for the floor, unit vectors would not tell
    for opened in exported(tmp_path, model, card):
        assert difference(opened.run(pixels), expected) < FP32_ROUNDING


def test_the_same_network_gives_the_same_files_and_they_name_no_place(tmp_path: Path) -> None:
    model, card = random_model(TINY).float(), ModelCard(TINY, NAMES, "drawn-cars3", SIDE)
    for name in ("first", "second"):
        exported(tmp_path / name, model, card)
    for path in (tmp_path / "first").iterdir():
        content = path.read_bytes()
        if path.suffix != ".xml":  # where OpenVINO numbers constants through the process
            assert content == (tmp_path / "second" / path.name).read_bytes(), path.name
        assert not any(str(place).encode() in content for place in (tmp_path, Path(__file__).parents[2], Path.home()))
        assert b"stack_trace" not in content


def test_layers_of_the_graph_have_our_names(graph: onnx.ModelProto) -> None:
    nodes = {node.name: node.op_type for node in graph.graph.node}
    assert [name for name, kind in nodes.items() if kind == "Conv"] == list(TINY.layers)
    assert nodes["classifier"] == "Gemm"
    assert nodes["relu3_2"] == "Relu"
    assert nodes["pool1_1"] == "MaxPool"
    assert {"Sqrt", "Sign", "MatMul", "Gather"} <= {kind for name, kind in nodes.items() if name.startswith("head/")}


def test_a_failed_write_leaves_the_old_files_and_nothing_else(
    graph: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, card = openvino_graph(graph), ModelCard(TINY, NAMES, "drawn-cars3", SIDE)
    (tmp_path / ".model.part").mkdir()
    (tmp_path / ".model.part" / "model.bin").write_bytes(b"left by a killed writer")
    write_openvino(tmp_path / "model.xml", network, card)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(path.name for path in before) == ["model.bin", "model.xml"]

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(openvino, "save_model", full)
    with pytest.raises(OSError, match=r"model\.xml cannot be written, as on a full disk: basic_ios"):
        write_openvino(tmp_path / "model.xml", network, card)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_ctrl_c_is_raised_behind_the_exporter_which_would_lose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    def interrupted(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)
        done.append("all")

    monkeypatch.setattr(torch.onnx, "export", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            onnx_graph(folded(random_model(TINY).float()), ModelCard(TINY, NAMES, "drawn-cars3", SIDE))
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["all"]
