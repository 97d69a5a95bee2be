"""The variants of a deployed network, and the backend that opens each file.

A backend is imported only when a file of its kind is opened, so a deployed file runs where torch is not installed."""

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from bcnn_prune.deployment.runtime import LoadedModel, Opener
from bcnn_prune.files import require_file


def _lazily(backend: str, opener: str, path: Path, threads: int, **options: Any) -> LoadedModel:
    module = import_module(f"bcnn_prune.deployment.backends.{backend}")
    loaded: LoadedModel = getattr(module, opener)(path, threads, **options)
    return loaded


open_eager = partial(_lazily, "torch", "open_eager")
open_folded = partial(_lazily, "torch", "open_folded")
open_onnx = partial(_lazily, "onnx", "open_onnx")
open_openvino = partial(_lazily, "openvino", "open_openvino")


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
    from bcnn_prune.deployment.backends.openvino import computes_bf16

    bf16 = computes_bf16()
    return tuple(name for name, variant in VARIANTS.items() if bf16 or not variant.bf16)


def open_any(path: Path, threads: int) -> LoadedModel:
    """A checkpoint or a deployed file, by its suffix."""
    if path.is_dir():
        require_file(path)
    if path.suffix not in OPENERS:
        raise ValueError(f"{path} is no network: take a file that ends in {', '.join(OPENERS)}")
    return OPENERS[path.suffix](path, threads)
