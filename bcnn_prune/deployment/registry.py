"""A file and a number of threads → a function from pixels to logits, whatever computes it.

Each runtime is imported only when a file of its kind is opened; torch is one of them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float32, UInt8

from bcnn_prune.deployment.packages import require, telemetry_disabled
from bcnn_prune.files import require_file
from bcnn_prune.metadata import KEY, ModelCard, from_text

if TYPE_CHECKING:
    import openvino

Pixels = UInt8[np.ndarray, "batch side side 3"]
"""RGB as decoded."""
Logits = Float32[np.ndarray, "batch classes"]
Runtime = Callable[[Pixels], Logits]


class Unsupported(ValueError):
    """This processor cannot compute what is asked for."""


@dataclass(frozen=True)
class LoadedModel:
    """A network ready to run on the CPU, and what its file says of it."""

    run: Runtime
    about: ModelCard


Opener = Callable[[Path, int], LoadedModel]
"""Open a file, to run with so many threads. Raises ValueError that names the file, or the package that is missing."""


def open_eager(path: Path, threads: int) -> LoadedModel:
    """A checkpoint in torch, as experiments evaluate it. Sets torch's number of threads, of which a process has one."""
    from bcnn_prune.deployment.backends.torch import read_checkpoint, torch_runtime

    model, about = read_checkpoint(path)
    return LoadedModel(torch_runtime(model, about, threads), about)


def open_folded(path: Path, threads: int) -> LoadedModel:
    """A checkpoint in torch, folded as it is read. Sets torch's number of threads, of which a process has one."""
    from bcnn_prune.deployment.backends.torch import read_checkpoint, torch_runtime
    from bcnn_prune.deployment.fold import folded

    model, about = read_checkpoint(path)
    return LoadedModel(torch_runtime(folded(model), about, threads), about)


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
    about = _about(path, session.get_modelmeta().custom_metadata_map.get(KEY))
    (pixels,), (logits,) = session.get_inputs(), session.get_outputs()

    def run(batch: Pixels) -> Logits:
        (computed,) = session.run([logits.name], {pixels.name: batch})
        return np.asarray(computed)

    return LoadedModel(run, about)


def open_openvino(path: Path, threads: int, precision: Literal["f32", "bf16"] = "f32") -> LoadedModel:
    """An .xml file, fp32 or int8, and the .bin beside it in OpenVINO; what is not int8 is computed in `precision`.

    OpenVINO left to itself computes fp32 files in bf16 where the processor can: f32 has to be asked for. Raises
    Unsupported for bf16 where it cannot."""
    require("openvino")
    with telemetry_disabled():
        import openvino

    weights = path.with_suffix(".bin")
    require_file(path)
    require_file(weights, f"{path.name} needs it beside it")
    core = openvino.Core()
    if precision == "bf16" and not _computes_bf16(core):
        raise Unsupported("this processor does not compute in bf16")
    try:
        network = core.read_model(path)
    except RuntimeError as error:
        raise ValueError(f"{path} and {weights.name} are no OpenVINO network, or damaged") from error
    entries = {
        name: str(network.get_rt_info([KEY, name]).value) if network.has_rt_info([KEY, name]) else None
        for name in ("about", "weights")
    }
    about = _about(path, entries["about"])
    if checksum(weights) != entries["weights"]:
        raise ValueError(f"{weights} is damaged, or the weights of another network than {path.name}")
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(network, "CPU", settings).create_infer_request()

    def run(batch: Pixels) -> Logits:
        return np.array(request.infer({0: np.ascontiguousarray(batch)})[0])

    return LoadedModel(run, about)


@dataclass(frozen=True)
class Variant:
    """One way to run a network: the file that it needs, and how that is opened."""

    file: str | None
    """In the folder of deployed files; None for the checkpoint itself."""
    open: Opener
    bf16: bool = False
    """Computes in bf16, which not every processor does."""


VARIANTS = {
    "torch": Variant(None, open_eager),
    "torch-folded": Variant(None, open_folded),
    "onnx": Variant("model.onnx", open_onnx),
    "onnx-int8": Variant("model-int8.onnx", open_onnx),
    "openvino": Variant("model.xml", open_openvino),
    "openvino-bf16": Variant("model.xml", partial(open_openvino, precision="bf16"), bf16=True),
    "openvino-int8": Variant("model-int8.xml", open_openvino),
}
OPENERS: dict[str, Opener] = {".safetensors": open_eager, ".onnx": open_onnx, ".xml": open_openvino}
"""By suffix, for whoever has nothing but a file."""


def supported() -> tuple[str, ...]:
    """The variants that this processor can compute."""
    require("openvino")
    with telemetry_disabled():
        import openvino

    bf16 = _computes_bf16(openvino.Core())
    return tuple(name for name, variant in VARIANTS.items() if bf16 or not variant.bf16)


def open_any(path: Path, threads: int) -> LoadedModel:
    """A checkpoint or a deployed file, by its suffix."""
    if path.is_dir():
        require_file(path)
    if path.suffix not in OPENERS:
        raise ValueError(f"{path} is no network: take a file that ends in {', '.join(OPENERS)}")
    return OPENERS[path.suffix](path, threads)


def require_finite(logits: Logits, whose: str) -> None:
    """Raise ValueError, with `whose` they are, for logits that are not finite."""
    if not np.isfinite(logits).all():
        raise ValueError(
            f"{whose} are not finite: the network's training diverged, or its file is damaged; take another"
        )


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _computes_bf16(core: "openvino.Core") -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _about(path: Path, text: str | None) -> ModelCard:
    if text is None:
        raise ValueError(f"{path} is no deployed network of this project: it does not say what it is")
    try:
        return from_text(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
