"""Errors of the operating system in words: what is wrong with which path, and the option to give another for."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import tyro

from bcnn_prune.command_line.parse import option

FULL = (errno.ENOSPC, errno.EDQUOT)
CLOSED = (errno.EACCES, errno.EPERM)
IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR)


@contextmanager
def in_words(settings: object) -> Iterator[None]:
    """Raise an error of the system that names a path again, as an OSError of one line that a user can act on.

    The option is that of `settings` whose path the error's is, lies in or leads to. Errors that are in words already
    pass unchanged."""
    try:
        yield
    except OSError as error:
        if error.errno is None or not isinstance(error.filename, str | os.PathLike):
            raise
        path = Path(error.filename)
        problem, remedy = _problem(error, path)
        name = option_of(path, settings)
        other = f"give another {option(name)}" if name else "work in another folder"
        raise OSError(f"{problem}: {remedy}, or {other}") from error


def option_of(path: Path, settings: object) -> str | None:
    """The name of the optional setting that `path` comes from; None where it comes from none."""
    if not is_dataclass(settings):
        return None
    hints = get_type_hints(type(settings), include_extras=True)
    near: dict[str, tuple[bool, int]] = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        if not isinstance(value, Path) or tyro.conf.Positional in getattr(hints[field.name], "__metadata__", ()):
            continue
        given, found = value.absolute(), path.absolute()
        if found.is_relative_to(given) or given.is_relative_to(found):  # the second: a folder on the way to it
            near[field.name] = found.is_relative_to(given), len(given.parts)
    return max(near, key=near.__getitem__, default=None)


def _problem(error: OSError, path: Path) -> tuple[str, str]:
    """The problem and its remedy."""
    if error.errno in CLOSED:
        return _closed(path), "ask its owner for the right"
    if error.errno == errno.EROFS:
        return f"{path} lies on a disk that is read only", "mount it for writing"
    if error.errno in FULL:
        return f"the disk of {path} is full", "make room"
    file = next((one for one in (path, *path.parents) if os.path.isfile(one)), None)
    if error.errno in IN_THE_WAY and file:
        return f"{file} is a file, where a folder is needed", "move it away"
    if error.errno == errno.EISDIR:
        return f"{path} is a folder, where a file is needed", "move it away"
    if error.errno == errno.ENOENT:
        return f"{path} does not exist", "look for it"
    return f"{path}: {error.strerror}", "see to that"


def _closed(path: Path) -> str:
    if os.access(path.parent, os.F_OK) and not os.access(path.parent, os.X_OK):
        return f"{path.parent} may not be entered by you"
    if os.access(path, os.F_OK) and not os.access(path, os.R_OK):
        return f"{path} may not be read by you"
    # A lock or an unfinished file is nothing that the user named: its folder is.
    return f"{path.parent if path.name.startswith('.') else path} may not be written by you"
