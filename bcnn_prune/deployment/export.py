"""A folded network as files: ONNX, and OpenVINO's .xml with its .bin. Each alone is enough to name what an image shows.

Pixels in, (batch, side, side, 3) uint8 RGB; logits out, (batch, classes) float32; any batch. bfloat16 is no file: a
runtime is asked for it when it loads fp32 (see runtimes)."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bcnn_prune.deployment.fold import FoldedBCNN
from bcnn_prune.deployment.packages import require, telemetry_disabled
from bcnn_prune.deployment.pixels import FromPixels
from bcnn_prune.files import atomic_write, checksum
from bcnn_prune.interrupts import held_interrupts
from bcnn_prune.layers import Conv, Depthwise, Layer, Linear, MaxPool, ReLU, ReLU6
from bcnn_prune.metadata import KEY, ModelCard, to_text
from bcnn_prune.spec import ModelSpec

if TYPE_CHECKING:
    import onnx
    import openvino

INPUT, OUTPUT = "pixels", "logits"
HEAD = "head/"
"""Nodes of the graph are called as their layers ("conv5_3", "classifier"); those of the pooling have this prefix."""
OPERATIONS: dict[type[Layer], str] = {
    Conv: "Conv",
    Depthwise: "Conv",
    MaxPool: "MaxPool",
    ReLU: "Relu",
    ReLU6: "Clip",
    Linear: "Gemm",
}
"""ONNX's operation of each layer that is one node."""
ACTIVATIONS = (OPERATIONS[ReLU], OPERATIONS[ReLU6])
OPSET = 20


def onnx_graph(network: FoldedBCNN, card: ModelCard) -> "onnx.ModelProto":
    """`network` on the CPU as an ONNX graph that holds its weights, and `card` in its metadata."""
    # The optimizer takes the signed root's 1e-8 for a zero and drops it; runtimes do the rest of its work anyway.
    model = exported(FromPixels(network, card.mean, card.std), card.side, optimize=False)
    _name_nodes(model, card.spec)
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, to_text(card)
    return model


def exported(network: FromPixels, side: int, *, optimize: bool) -> "onnx.ModelProto":
    """Any network on the CPU as an ONNX graph that holds its weights; `optimize` also folds BatchNorm."""
    require("onnx", "onnxscript")
    pixels = torch.zeros(2, side, side, 3, dtype=torch.uint8)  # a batch of 1 would be taken for a constant
    with held_interrupts() as raise_held:  # it would catch Ctrl-C, and fail in another way
        program = torch.onnx.export(
            network.eval(),
            (pixels,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={"pixels": {0: "batch"}},
            opset_version=OPSET,
            verbose=False,
            optimize=optimize,
        )
        raise_held()
    assert program is not None
    model = program.model_proto
    _forget_origin(model)
    return model


def write_onnx(path: Path, model: "onnx.ModelProto") -> None:
    """Write the graph as one file, whole or not at all."""
    with atomic_write(path) as partial:
        partial.write_bytes(model.SerializeToString(deterministic=True))


def openvino_graph(model: "onnx.ModelProto") -> "openvino.Model":
    """The same graph for OpenVINO, with the same names."""
    require("openvino")
    with telemetry_disabled():
        import openvino
        from openvino import passes

    graph = openvino.Core().read_model(model.SerializeToString())
    manager = passes.Manager()
    manager.register_pass(passes.ConstantFolding())  # biases become constants, which quantising has to find
    manager.run_passes(graph)
    return graph


def write_openvino(path: Path, graph: "openvino.Model", card: ModelCard) -> None:
    """Write `path`, an .xml, and the weights beside it, a .bin, whose checksum the .xml holds.

    The .xml comes last and an old one goes first, so that it never stands beside weights of another network."""
    with telemetry_disabled():
        import openvino

    folder = path.with_name(f".{path.stem}.part")  # where a killed writer left it, it is written over
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        xml, weights = folder / path.name, folder / f"{path.stem}.bin"
        graph.set_rt_info(to_text(card), [KEY, "about"])
        try:
            openvino.save_model(graph, xml, compress_to_fp16=False)
            graph.set_rt_info(checksum(weights), [KEY, "weights"])
            openvino.save_model(graph, xml, compress_to_fp16=False)
        except RuntimeError as error:
            raise OSError(f"{path} cannot be written, as on a full disk: {error}") from error
        path.unlink(missing_ok=True)
        for source in (weights, xml):
            with atomic_write(path.parent / source.name) as partial:
                source.rename(partial)
    finally:
        shutil.rmtree(folder)


def _name_nodes(model: "onnx.ModelProto", spec: ModelSpec) -> None:
    """Call nodes as the layers that they compute: all of the trunk, and dense layers and their activations."""
    layers = [(name, OPERATIONS[type(layer)]) for name, layer in spec.folded.items() if type(layer) in OPERATIONS]
    inside = "pixels/"
    for i, node in enumerate(model.graph.node):
        if not layers or node.op_type != layers[0][1]:
            node.name = f"{inside}{node.op_type}{i}"
            continue
        node.name, _ = layers.pop(0)
        inside = HEAD if not layers or layers[0][0] not in spec.trunk else inside
    if layers:
        raise ValueError(f"the exported graph has no node for {', '.join(name for name, _ in layers)}")


def _forget_origin(model: "onnx.ModelProto") -> None:
    """Drop the exporter's notes, which hold source lines and folders of the machine that it ran on."""
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:]
    model.doc_string = graph.doc_string = ""
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
