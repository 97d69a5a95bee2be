"""An ordinary user, whom the system refuses files: root, as whom tests may run, reads and writes them all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

NOBODY = 65534
"""The user that by convention owns nothing."""


@contextmanager
def ordinary_user() -> Iterator[Path]:
    """Run the block with the rights of an ordinary user, who owns nothing but the folder that it is given.

    What the block needs should be imported before: the user may not be allowed to read that either."""
    # Root's own folder for temporary files may be closed to everybody else.
    with TemporaryDirectory(dir=None if os.geteuid() else "/tmp") as name:
        if os.geteuid():
            yield Path(name)
            return
        os.chown(name, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, 0)  # the rights of root go with it, but for the way back
        try:
            yield Path(name)
        finally:
            os.setresuid(0, 0, 0)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
