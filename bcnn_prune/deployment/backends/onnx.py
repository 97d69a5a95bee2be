"""ONNX Runtime."""

import json
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from bcnn_prune.deployment.packages import require, telemetry_disabled
from bcnn_prune.deployment.runtime import LoadedModel, Logits, Operation, Pixels, card_of
from bcnn_prune.files import require_file
from bcnn_prune.metadata import KEY

if TYPE_CHECKING:
    import onnxruntime


def open_onnx(path: Path, threads: int) -> LoadedModel:
    """An .onnx file, fp32 or int8, in ONNX Runtime."""
    session = _session(path, threads)
    try:
        about = session.get_modelmeta().custom_metadata_map.get(KEY)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged: its metadata are no text") from error
    return LoadedModel(_passing(session, path), card_of(path, about))


def open_foreign_onnx(path: Path, threads: int) -> Callable[[Pixels], Logits]:
    """An .onnx file of a network that is none of ours, which has no card."""
    return _passing(_session(path, threads), path)


def _passing(session: "onnxruntime.InferenceSession", path: Path) -> Callable[[Pixels], Logits]:
    (pixels,), (logits,) = session.get_inputs(), session.get_outputs()

    def run(batch: Pixels) -> Logits:
        try:
            (computed,) = session.run([logits.name], {pixels.name: batch})
        except Exception as error:  # its errors have no common type below this
            if re.search("(allocate|out of) memory", str(error)):
                raise RuntimeError(str(error)) from error
            raise ValueError(f"{path} cannot be computed, as if it were damaged: {error}") from error
        return np.asarray(computed)

    return run


def profile_onnx(path: Path, threads: int, batch: Pixels, passes: int) -> list[Operation]:
    """The operations of a forward pass of an .onnx file in ONNX Runtime, in the order in which it computes them."""
    with TemporaryDirectory() as folder:
        session = _session(path, threads, profile=Path(folder) / "profile")
        for _ in range(passes):
            session.run(None, {session.get_inputs()[0].name: batch})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    ms: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            ms[event["name"], event["args"]["op_name"]].append(event["dur"] / 1e3)
    return [Operation(kind, min(taken)) for (_, kind), taken in ms.items()]


def _session(path: Path, threads: int, profile: Path | None = None) -> "onnxruntime.InferenceSession":
    """The file, ready to run; with `profile`, the start of a file's name, each operation is timed."""
    require("onnxruntime")
    with telemetry_disabled():
        import onnxruntime

    require_file(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors: below them it reports on its own optimizer
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common type below this
        raise ValueError(f"{path} is no ONNX network that ONNX Runtime can load, or it is damaged") from error
