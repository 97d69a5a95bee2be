"""Packages that only deploying needs: an install without them trains and prunes all the same."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

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
