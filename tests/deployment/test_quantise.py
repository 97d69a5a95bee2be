"""int8: close to the network it was made from, fp32 where that is asked for or always needed."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from bcnn_prune.data.batches import read_split
from bcnn_prune.deployment.checkpoint import read_checkpoint, torch_runtime
from bcnn_prune.deployment.compare import held_against, logits_of, pixel_batches
from bcnn_prune.deployment.export import onnx_graph, write_onnx, write_openvino
from bcnn_prune.deployment.folded import folded
from bcnn_prune.deployment.quantise import check_kept, onnx_int8, openvino_int8
from bcnn_prune.deployment.runtimes import Pixels, open_onnx, open_openvino
from tests.deployment.conftest import SPEC, Trained


@pytest.fixture(scope="module")
def graph(trained: Trained) -> onnx.ModelProto:
    model, about = read_checkpoint(trained.checkpoint)
    return onnx_graph(folded(model), about)


@pytest.fixture(scope="module")
def batches(trained: Trained) -> list[Pixels]:
    val = read_split(trained.data, "val", torch.device("cpu"))
    return [pixels for pixels, _ in pixel_batches(val, 20)]


def weights_of(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The weights that each convolution and the classifier is computed with, by its name."""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    behind = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    return {node.name: held[behind.get(node.input[1], node.input[1])] for node in layers}


def test_int8_names_the_classes_that_the_network_names(
    trained: Trained, graph: onnx.ModelProto, batches: list[Pixels], tmp_path: Path
) -> None:
    model, about = read_checkpoint(trained.checkpoint)
    before = graph.SerializeToString()
    write_onnx(tmp_path / "int8.onnx", onnx_int8(graph, batches))
    write_openvino(tmp_path / "int8.xml", openvino_int8(graph, batches), about)
    assert graph.SerializeToString() == before
    test = read_split(trained.data, "test", torch.device("cpu"))
    original = logits_of(torch_runtime(model, about, 1), test)
    for opened in (open_onnx(tmp_path / "int8.onnx", 1), open_openvino(tmp_path / "int8.xml", 1)):
        assert opened.about == about
        found = held_against(logits_of(opened.run, test, batch=7), original, test.labels.numpy(), size=0)
        assert found.test.accuracy > 0.9
        assert found.agreement > 0.95
        assert 1e-4 < found.largest_difference < 0.15


def test_the_pooled_product_and_its_root_stay_in_fp32(graph: onnx.ModelProto, batches: list[Pixels]) -> None:
    quantised = onnx_int8(graph, batches)
    assert {name: tensor.data_type for name, tensor in weights_of(quantised).items()} == dict.fromkeys(
        (*SPEC.layers, "classifier"), onnx.TensorProto.INT8
    )
    made_by = {output: node for node in quantised.graph.node for output in node.output}
    head = [node for node in quantised.graph.node if node.name.startswith("head/")]
    sources = {made_by[name].name for node in head for name in node.input if name in made_by}
    # What comes in is the last layer's output; nothing is rounded from there to the classifier.
    assert {name for name in sources if not name.startswith(("head/", "pixels/"))} == {"relu_7_DequantizeLinear"}
    assert made_by["logits"].name == "classifier"

    inner = openvino_int8(graph, batches)
    for operation in inner.get_ordered_ops():
        if operation.get_friendly_name().startswith("head/") and operation.get_type_name() != "Constant":
            for source in operation.input_values():
                name = source.get_node().get_friendly_name()
                assert source.get_node().get_type_name() != "FakeQuantize", name


@pytest.mark.parametrize("kept", [("classifier",), ("conv1_1", "conv5_2")])
def test_what_is_kept_stays_in_fp32(kept: tuple[str, ...], graph: onnx.ModelProto, batches: list[Pixels]) -> None:
    kinds = {name: tensor.data_type for name, tensor in weights_of(onnx_int8(graph, batches, kept)).items()}
    assert [name for name, kind in kinds.items() if kind == onnx.TensorProto.FLOAT] == list(kept)
    quantised = {
        operation.get_friendly_name().split("/")[0]
        for operation in openvino_int8(graph, batches, kept).get_ordered_ops()
        if operation.get_type_name() in ("Convolution", "MatMul")
        and operation.input_value(1).get_node().get_type_name() != "Constant"
        and not operation.get_friendly_name().startswith("head/")
    }
    assert quantised == {*SPEC.layers, "classifier"} - set(kept)


def test_weights_for_processors_without_vnni_take_seven_bits(graph: onnx.ModelProto, batches: list[Pixels]) -> None:
    for vnni, largest in ((True, 127), (False, 64)):
        weights = [
            onnx.numpy_helper.to_array(tensor) for tensor in weights_of(onnx_int8(graph, batches, (), vnni)).values()
        ]
        assert {int(np.abs(array.astype(int)).max()) for array in weights} == {largest}


def test_no_other_layer_can_be_kept() -> None:
    check_kept(("conv1_1", "classifier"), SPEC)
    with pytest.raises(ValueError, match=r"no layer head to keep in fp32: take conv1_1, .*conv5_2 or classifier"):
        check_kept(("conv1_1", "head"), SPEC)
