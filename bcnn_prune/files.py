"""Files: written whole or not at all and by one process at a time; told as what they are where they cannot be read."""

import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from filelock import FileLock, Timeout


@contextmanager
def folder_lock(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
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
def atomic_write(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to: flushed to disk and renamed to `path` at the end, removed if anything fails.

    A reader, or a run after a power cut, sees the old file or the new one and never a part of either. The new one has
    the mode that the umask gives, whatever the writer made of it. What a killed writer left beside it is written over;
    two writers at once must take turns. Raises IsADirectoryError where `path` is a folder."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    partial.unlink(missing_ok=True)
    partial.touch()
    mode = partial.stat().st_mode
    try:
        yield partial
        partial.chmod(mode)  # safetensors writes through a temporary file of its own, which only its owner may read
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
        _flush_names(path.parent)
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error  # a write does not know its file
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replacing_together(folder: Path, last: str) -> Iterator[Path]:
    """An empty folder inside `folder` to write files to, which move to `folder` at the end: none if anything fails.

    Other files in `folder` stay. The file `last` says that all are of one making: an old one is removed before the
    first of the others moves, the new one moves when they are there. Writers must take turns."""
    partial = folder / ".part"
    shutil.rmtree(partial, ignore_errors=True)  # a killed writer's
    partial.mkdir(parents=True)
    try:
        yield partial
        (folder / last).unlink(missing_ok=True)
        for path in sorted(partial.iterdir(), key=lambda path: (path.name == last, path.name)):
            path.replace(folder / path.name)
        _flush_names(folder)
    finally:
        shutil.rmtree(partial)


def _partial(path: Path) -> Path:
    """The file beside `path` that `atomic_write` writes to."""
    return path.with_name(f".{path.name}.part")


def _flush_names(folder: Path) -> None:
    """Bring what files in `folder` are called to disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def require_file(path: Path, way_out: str = "") -> None:
    """Raise OSError, in one line that names `path`, unless it is a file that may be read.

    `way_out` follows where there is nothing at `path`."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(f"{path} is a folder: name the file in it")
        if not stat.S_ISREG(kind):
            raise OSError(f"{path} is no regular file")
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{path} does not exist{way_out and f': {way_out}'}") from error
    except PermissionError as error:
        raise PermissionError(f"{path} may not be read by you: ask its owner for the right to read it") from error


def require_writable(path: Path, option: str) -> None:
    """Raise OSError, in one line that names `option`, unless a file can be written at `path`; leave nothing there.

    For commands that work for minutes before they write. The folders on the way to `path` may be missing."""
    try:
        if _partial(path).is_dir() or path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "there is a folder of that name")
        folder = path.parent
        while not folder.exists():
            folder = folder.parent
        with TemporaryFile(dir=folder):  # says more than access rights do, which a read-only disk does not change
            pass
    except OSError as error:
        reason = f"{folder} is no folder" if isinstance(error, NotADirectoryError) else error.strerror
        raise type(error)(f"{option}: {path} cannot be written ({reason}): name another folder") from error


def require_room(place: Path, needed: int, way_out: str = "") -> None:
    """Raise OSError, in one line, unless the disk of `place`, a file or folder, has so many bytes free."""
    free = shutil.disk_usage(place if place.is_dir() else place.parent).free
    if needed > free:
        raise OSError(
            f"the disk of {place} is full: {needed / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free"
            f"{way_out and f'; {way_out}'}"
        )


def require_same_settings(path: Path, told: Mapping[str, object], option: str) -> None:
    """Raise FileExistsError, in one line that names `option`, where a file at `path` is no JSON object with these
    values: what was measured by other settings is not written over."""
    if not path.exists():
        return
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    asked = parse_json(json_text(told))
    if not isinstance(found, dict) or any(found.get(key) != value for key, value in asked.items()):
        raise FileExistsError(f"{option}: {path} was measured by other settings: move it away, or name another folder")


def write_text(path: Path, text: str) -> None:
    """`text` as the whole of `path`, or the file as it was."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def json_text(value: object) -> str:
    """Lists and dicts as JSON text: keys in their order, floats exact, a list of numbers on one line."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return re.sub(r"\[\n\s*([^\[\]{}\"]+?)\n\s*\]", lambda row: f"[{' '.join(row[1].split())}]", text) + "\n"


def parse_json(text: str) -> Any:
    """Value of JSON text. Raises ValueError for no JSON, or for a number that is not finite, which JSON has none of."""
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply to be read") from error


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"it holds {text}, which is no finite number")
    return number


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
