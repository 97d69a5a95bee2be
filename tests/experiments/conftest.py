"""One unbroken run of the grid for all tests that hold something against it."""

from pathlib import Path

import pytest
from filelock import FileLock

from experiments.grid import ray_pool
from tests.helpers.small_grid import in_a_child
from tests.helpers.small_runs import prepare

ray_pool.configure(address=None)  # whichever test imports Ray first


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder with an unbroken run of the grid in "whole", trained by whichever of pytest's processes needs it
    first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "chapter"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "ended").exists():
            prepare(folder)
            assert not in_a_child(folder, "whole")
            (folder / "ended").touch()
    return folder
