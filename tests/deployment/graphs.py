"""Weights in exported graphs, and which of them are int8."""

import numpy as np
import onnx
import openvino
from numpy.typing import NDArray

PRODUCTS = {"Convolution", "GroupConvolution", "MatMul"}
"""OpenVINO's operations of convolutions and dense layers."""


def weights_of(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The weights that each convolution and dense layer is computed with, by its name."""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    behind = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    return {node.name: held[behind.get(node.input[1], node.input[1])] for node in layers}


def rounded_weights(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    """The int8 weights of each convolution and dense layer times their steps, by layer."""
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    steps = {node.input[0]: held[node.input[1]] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    # The first axis is the output channel's, and each has a step of its own.
    return {
        name: (held[tensor.name].T * steps[tensor.name]).T.astype(np.float32)
        for name, tensor in weights_of(model).items()
    }


def int8_layers(network: openvino.Model) -> set[str]:
    """Names of the layers whose weights are int8."""
    return {
        operation.get_friendly_name().split("/")[0]
        for operation in network.get_ordered_ops()
        if operation.get_type_name() in PRODUCTS
        and operation.input_value(1).get_node().get_type_name() != "Constant"
        and not operation.get_friendly_name().startswith("head/")
    }


def inputs_of_head(network: openvino.Model) -> set[str]:
    """Types of the operations that those between trunk and dense layers read from."""
    return {
        source.get_node().get_type_name()
        for operation in network.get_ordered_ops()
        if operation.get_friendly_name().startswith("head/") and operation.get_type_name() != "Constant"
        for source in operation.input_values()
    }
