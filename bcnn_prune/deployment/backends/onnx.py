"""ONNX Runtime."""

from pathlib import Path

import numpy as np

from bcnn_prune.deployment.packages import require, telemetry_disabled
from bcnn_prune.deployment.runtime import LoadedModel, Logits, Pixels, card_of
from bcnn_prune.files import require_file
from bcnn_prune.metadata import KEY


def open_onnx(path: Path, threads: int) -> LoadedModel:
    """An .onnx file, fp32 or int8, in ONNX Runtime."""
    require("onnxruntime")
    with telemetry_disabled():
        import onnxruntime

    require_file(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors: below them it reports on its own optimizer
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common type below this
        raise ValueError(f"{path} is no ONNX network that ONNX Runtime can load, or it is damaged") from error
    card = card_of(path, session.get_modelmeta().custom_metadata_map.get(KEY))
    (pixels,), (logits,) = session.get_inputs(), session.get_outputs()

    def run(batch: Pixels) -> Logits:
        (computed,) = session.run([logits.name], {pixels.name: batch})
        return np.asarray(computed)

    return LoadedModel(run, card)
