"""Set up before anything of ours is imported: shapes checked, one thread, Hypothesis without a clock."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

import tests.helpers.typecheck  # noqa: F401 (the hook looks it up by name)

# Every shape that a signature of the library states is checked on every call while tests run: in the modules that state
# one. `layers` is left out: it states that of a vector of indices, and descriptions of layers are made by the million.
LIBRARY = Path(__file__).parents[1] / "bcnn_prune"
SHAPED = [
    ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts)
    for path in LIBRARY.rglob("*.py")
    if "jaxtyping" in path.read_text() and path.stem != "layers"
]
install_import_hook(SHAPED, "tests.helpers.typecheck.check")

# torch is slow to start, so time limits would only be noise. Derandomized: a failure in CI is a failure at home.
settings.register_profile(
    "torch", deadline=None, derandomize=True, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("torch")
for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):  # lines and tables are compared as where nobody looks on
    os.environ.pop(name, None)
# One unless told otherwise: the networks are tiny, and a busy machine makes threads wait for each other.
THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
torch.set_num_threads(THREADS)

# autograd starts with the first backward pass, and with threads where a device is registered by then, as exporting to
# ONNX does; after that no forked child can train, and some tests fork. So it starts here, before any test.
torch.zeros(1, requires_grad=True).sum().backward()  # type: ignore[no-untyped-call]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """As many threads for every test: one before it may have set those of a runtime, which are the process's."""
    torch.set_num_threads(THREADS)
