"""Write a file so that its name only ever stands for the whole of it, by one process at a time; and how JSON looks."""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def taking_turns(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold `folder`, made if need be, against any other process; call `waiting` first if one holds it now.

    The system lets go of the lock when its holder ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to: flushed to disk and renamed to `path` at the end, removed if anything fails.

    A reader, or a run after a power cut, sees the old file or the new one and never a part of either. What a killed
    writer left beside it is written over; two writers at once must take turns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """`text` as the whole of `path`, or the file as it was."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def json_text(value: object) -> str:
    """Lists and dicts as JSON text: keys in their order, floats exact, a list of numbers on one line."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return re.sub(r"\[\n\s*([^\[\]{}\"]+?)\n\s*\]", lambda row: f"[{' '.join(row[1].split())}]", text) + "\n"
