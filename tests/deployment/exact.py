"""An int8 network in fp32: rounded where its file says so, and no integer kernel in between that could overflow.

The reference for the kernels of any processor: both runtimes can leave the operations of a file as they are."""

import numpy as np
import onnx
import onnxruntime
import openvino

from bcnn_prune.deployment.packages import openvino_core
from bcnn_prune.deployment.runtime import Logits, Pixels, Runtime


def exact_onnx(model: onnx.ModelProto) -> Runtime:
    """Without graph optimisation ONNX Runtime rounds, goes back to fp32 and convolves in fp32, as the nodes say."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(batch: Pixels) -> Logits:
        return np.asarray(session.run(None, {session.get_inputs()[0].name: batch})[0])

    return run


def exact_openvino(network: openvino.Model) -> Runtime:
    """Without low-precision transformations OpenVINO computes FakeQuantize as it is defined, between fp32 layers.

    The classifier must have been left in fp32: quantised, it has no kernel of this kind without AVX2."""
    settings = {"INFERENCE_PRECISION_HINT": "f32", "LP_TRANSFORMS_MODE": False}
    request = openvino_core().compile_model(network, "CPU", settings).create_infer_request()

    def run(batch: Pixels) -> Logits:
        return np.array(request.infer({0: batch})[0])

    return run
