"""Packages that only deploying needs: an install without them trains and prunes all the same."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import openvino

PACKAGES = ("onnx", "onnxscript", "onnxruntime", "openvino", "nncf")
"""All of them."""


def require(*packages: str) -> None:
    """Raise ValueError that tells how to install those that are missing."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ValueError(
            f"this needs {', '.join(missing)}: pip install {' '.join(missing)}, or all that deploying takes with "
            "pip install --editable '.[deploy]'"
        )


@contextmanager
def telemetry_disabled() -> Iterator[None]:
    """Inside, onnxruntime, openvino and nncf can be imported for the first time without reporting to their makers.

    Each would otherwise leave an identifier of the machine in the home folder and tell of its use over the network."""
    asked = os.environ.get("ORT_DISABLE_TELEMETRY")
    found: Any = sys.modules.get("openvino_telemetry", ...)
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # as if it were not installed
    try:
        yield
    finally:
        if asked is None:
            del os.environ["ORT_DISABLE_TELEMETRY"]
        else:
            os.environ["ORT_DISABLE_TELEMETRY"] = asked
        if found is ...:
            del sys.modules["openvino_telemetry"]
        else:
            sys.modules["openvino_telemetry"] = found


@cache
def openvino_core() -> "openvino.Core":
    """OpenVINO with its CPU plugin loaded: one for the process, from before the first network to the end.

    A plugin that is loaded gives the thread another stack for signals, and puts the one from before back when it goes.
    Of two that overlap, and go in the order they came, the second puts back what is no longer mapped. The next signal
    with a handler, Ctrl-C or the end of a DataLoader's process, is then a segmentation fault (OpenVINO 2026.4)."""
    with telemetry_disabled():
        import openvino

    core = openvino.Core()
    core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return core
