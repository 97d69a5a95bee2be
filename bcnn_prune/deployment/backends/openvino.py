"""OpenVINO."""

from pathlib import Path
from typing import Literal

import numpy as np

from bcnn_prune.deployment.packages import openvino_core, require
from bcnn_prune.deployment.runtime import LoadedModel, Logits, Pixels, Unsupported, card_of
from bcnn_prune.files import checksum, require_file
from bcnn_prune.metadata import KEY


def computes_bf16() -> bool:
    """Whether OpenVINO computes in bf16 on this processor."""
    require("openvino")
    return "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def open_openvino(
    path: Path, threads: int, precision: Literal["f32", "bf16"] = "f32", pack_zeros_from: float = 1
) -> LoadedModel:
    """An .xml file, fp32 or int8, and the .bin beside it in OpenVINO; what is not int8 is computed in `precision`.

    Matrices of which this share of weights and more is zero are packed, on processors where OpenVINO can do that.

    OpenVINO left to itself computes fp32 files in bf16 where the processor can: f32 has to be asked for. Raises
    Unsupported for bf16 where it cannot."""
    require("openvino")
    core = openvino_core()
    weights = path.with_suffix(".bin")
    require_file(path)
    require_file(weights, f"{path.name} needs it beside it")
    if precision == "bf16" and not computes_bf16():
        raise Unsupported("this processor does not compute in bf16")
    try:
        network = core.read_model(path)
    except RuntimeError as error:
        raise ValueError(f"{path} and {weights.name} are no OpenVINO network, or damaged") from error
    entries = {
        name: str(network.get_rt_info([KEY, name]).value) if network.has_rt_info([KEY, name]) else None
        for name in ("about", "weights")
    }
    card = card_of(path, entries["about"])
    if checksum(weights) != entries["weights"]:
        raise ValueError(f"{weights} is damaged, or the weights of another network than {path.name}")
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE": pack_zeros_from,
    }
    request = core.compile_model(network, "CPU", settings).create_infer_request()

    def run(batch: Pixels) -> Logits:
        return np.array(request.infer({0: np.ascontiguousarray(batch)})[0])

    return LoadedModel(run, card)
