"""Opening: a file that is damaged, or no network of this project, is refused by name."""

import gc
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
import torch

from bcnn_prune.data.batches import read_split
from bcnn_prune.deployment import packages, registry
from bcnn_prune.deployment.backends.onnx import open_foreign_onnx
from bcnn_prune.deployment.backends.torch import read_checkpoint
from bcnn_prune.deployment.compare import pixel_batches
from bcnn_prune.deployment.export import onnx_graph, openvino_graph, write_onnx, write_openvino
from bcnn_prune.deployment.fold import folded
from bcnn_prune.deployment.registry import open_any, open_eager, open_folded, open_openvino
from bcnn_prune.deployment.runtime import Unsupported
from tests.deployment.conftest import SIDE, SURE, Trained
from tests.helpers.strategies import FP32_ROUNDING


@pytest.fixture(scope="module")
def files(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    model, card = read_checkpoint(trained.checkpoint)
    graph = onnx_graph(folded(model), card)
    write_onnx(folder / "model.onnx", graph)
    write_openvino(folder / "model.xml", openvino_graph(graph), card)
    model.classifier.weight.data += 1
    write_openvino(folder / "other.xml", openvino_graph(onnx_graph(folded(model), card)), card)
    shutil.copy(trained.checkpoint, folder / "model.safetensors")
    return folder


@pytest.fixture
def folder(files: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(files, tmp_path / "copy"))


def test_every_file_opens_by_its_suffix_and_computes_the_same(files: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    expected = open_eager(files / "model.safetensors", 1)
    for name in ("model.safetensors", "model.onnx", "model.xml"):
        opened = open_any(files / name, 1)
        assert opened.card == expected.card
        np.testing.assert_allclose(opened.run(pixels), expected.run(pixels), rtol=1e-4, atol=1e-4)
    folded_logits = open_folded(files / "model.safetensors", 1).run(pixels)
    np.testing.assert_allclose(folded_logits, expected.run(pixels), rtol=1e-4, atol=1e-4)


def test_returned_logits_are_not_overwritten_by_the_next_batch(files: Path) -> None:
    first, second = np.zeros((1, SIDE, SIDE, 3), np.uint8), np.full((1, SIDE, SIDE, 3), 200, np.uint8)
    for name in ("model.onnx", "model.xml"):
        run = open_any(files / name, 1).run
        logits = run(first)
        before = logits.copy()
        run(second)
        np.testing.assert_array_equal(logits, before)


def test_a_signal_finds_its_stack_after_networks_were_closed_in_the_order_they_were_opened(files: Path) -> None:
    first = open_openvino(files / "model.xml", 1)
    second = open_openvino(files / "model.xml", 1)
    del first
    gc.collect()
    del second
    gc.collect()
    child = os.fork()  # which may die
    if child == 0:
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.raise_signal(signal.SIGUSR1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_packed_zeros_change_no_logits(trained: Trained, files: Path) -> None:
    pixels, _ = next(pixel_batches(read_split(trained.data, "test", torch.device("cpu")), 3))
    plain, packed = (open_openvino(files / "model.xml", 1, pack_zeros_from=share).run(pixels) for share in (1, 0.01))
    np.testing.assert_allclose(packed, plain, rtol=1e-4, atol=1e-4)


def test_openvino_computes_in_fp32_unless_bf16_is_asked_for(trained: Trained, files: Path) -> None:
    pixels, _ = next(pixel_batches(read_split(trained.data, "test", torch.device("cpu")), 80))
    expected = open_eager(files / "model.safetensors", 1).run(pixels)
    largest = np.abs(expected).max()
    assert np.abs(open_openvino(files / "model.xml", 1).run(pixels) - expected).max() < FP32_ROUNDING * largest
    try:
        logits = open_openvino(files / "model.xml", 1, precision="bf16").run(pixels)
    except Unsupported:
        pytest.skip("no bf16 here")
    assert FP32_ROUNDING * largest < np.abs(logits - expected).max() < SURE / 2 * largest


def damage(folder: Path, damaged: str) -> str:
    """Damage one file; return the name of the file to open."""
    xml, weights, graph = folder / "model.xml", folder / "model.bin", folder / "model.onnx"
    if damaged == "cut":
        graph.write_bytes(graph.read_bytes()[:-1000])
    elif damaged == "cut xml":
        xml.write_text(xml.read_text()[:-1000])
    elif damaged == "cut weights":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif damaged == "no weights":
        weights.unlink()
    elif damaged == "other weights":
        shutil.copy(folder / "other.bin", weights)
    elif damaged == "foreign":
        model = onnx.load(graph)
        del model.metadata_props[:]
        graph.write_bytes(model.SerializeToString())
    elif damaged == "foreign xml":
        openvino.save_model(openvino.Core().read_model(graph), xml)
    elif damaged == "damaged description":
        model = onnx.load(graph)
        model.metadata_props[0].value = "{}"
        graph.write_bytes(model.SerializeToString())
    return "model.xml" if "xml" in damaged or "weights" in damaged else "model.onnx"


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        ("cut", "model.onnx is no ONNX network that ONNX Runtime can load, or it is damaged"),
        ("cut xml", "model.xml and model.bin are no OpenVINO network, or damaged"),
        ("cut weights", "model.bin"),
        ("no weights", "model.bin does not exist: model.xml needs it beside it"),
        ("other weights", "model.bin is damaged, or the weights of another network than model.xml"),
        ("foreign", "model.onnx is no deployed network of this project: it does not say what it is"),
        ("foreign xml", "model.xml is no deployed network of this project: it does not say what it is"),
        ("damaged description", "model.onnx: its description is damaged"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(folder: Path, damaged: str, message: str) -> None:
    name = damage(folder, damaged)
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        open_any(folder / name, 1)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_network_that_fails_only_as_it_computes_is_refused_by_name(tmp_path: Path) -> None:
    """Such as one whose indices were damaged."""
    take = onnx.helper.make_node("Gather", ["pixels", "place"], ["logits"], axis=0)
    place = onnx.numpy_helper.from_array(np.array([7]), "place")
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, None) for name in ("pixels", "logits")]
    graph = onnx.helper.make_graph([take], "damaged", ends[:1], ends[1:], [place])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    run = open_foreign_onnx(tmp_path / "model.onnx", 1)
    with pytest.raises(ValueError, match=r"model\.onnx cannot be computed, as if it were damaged: "):
        run(np.zeros((1, SIDE, SIDE, 3), np.uint8))


@pytest.mark.parametrize("name", ["none.onnx", "none.xml", "none.safetensors"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"{name} does not exist"):
        open_any(tmp_path / name, 1)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"model.pth is no network: take a file that ends in .safetensors, .onnx, .xml"
    ):
        open_any(tmp_path / "model.pth", 1)


@pytest.mark.parametrize(("name", "package"), [("model.onnx", "onnxruntime"), ("model.xml", "openvino")])
def test_a_missing_runtime_is_refused_with_the_command_that_installs_it(
    files: Path, name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=f"this needs {package}: pip install {package}"):
        registry.open_any(files / name, 1)


def test_a_deployed_file_is_opened_without_torch(files: Path) -> None:
    """So that a device needs one runtime only, and a process that is timed starts the threads of one runtime."""
    code = (
        "import sys; from pathlib import Path; from bcnn_prune.deployment.registry import open_any; "
        f"[open_any(Path({str(files)!r}, name), 1) for name in ('model.onnx', 'model.xml')]; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
