"""One unbroken run of the chapter for all tests that hold something against it."""

from pathlib import Path

import pytest

from tests.small_chapter import in_a_child
from tests.small_sets import stripes


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an unbroken run of the chapter in "whole"."""
    folder = tmp_path_factory.mktemp("chapter")
    stripes(folder / "set.h5", per_class=(32, 12, 12))
    assert not in_a_child(folder, "whole")
    return folder
