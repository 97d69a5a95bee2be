"""Find and read the text lists of an official set: what does not fit is refused with its file and line."""

import re
from collections.abc import Iterator
from pathlib import Path

from bcnn_prune.files import require_file


def find(source: Path, patterns: tuple[str, ...], layout: str) -> Path:
    """The one file below `source` that matches a glob pattern.

    Raises ValueError that says what was looked for where there is none, and which were found where there are more."""
    require_folder(source)
    found = sorted({path for pattern in patterns for path in source.glob(pattern)})
    if not found:
        raise ValueError(f"--source {source} is no folder of {layout}: looked in it for {', '.join(patterns)}")
    if len(found) > 1:
        raise ValueError(f"--source {source} holds {layout} more than once: {', '.join(map(str, found))}; give one")
    return found[0]


def require_folder(source: Path) -> None:
    """Raise ValueError unless `source` is a folder."""
    if not source.is_dir():
        problem = "is a file: unpack it and give the folder" if source.exists() else "does not exist"
        raise ValueError(f"--source {source} {problem}")


def lines(path: Path, pattern: str, form: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(place, groups of the pattern) of every line that is not blank; the place names file and line for a message.

    Raises ValueError at the first line that the whole pattern does not match, giving `form`, its form in words."""
    if not path.exists():
        raise ValueError(f"{path} is missing")
    require_file(path)
    empty = True
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                match = re.fullmatch(pattern, line.strip())
                if match is None:
                    raise ValueError(f"{path} line {number}: {line.strip()[:80]!r} is not of the form {form}")
                empty = False
                yield f"{path} line {number}", match.groups()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text: {error}") from error
    if empty:
        raise ValueError(f"{path} is empty")
