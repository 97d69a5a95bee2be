"""From a command line to a function and an exit code: settings are a dataclass, a user's mistake is one line."""

import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
import tyro

from bcnn_prune.protocol import Stopped
from bcnn_prune.training.fit import Diverged

Settings = TypeVar("Settings")


def run(
    main: Callable[[Settings], None],
    settings: type[Settings],
    description: str | None,
    arguments: Sequence[str] | None = None,
    interrupted: str = "what was finished is saved, and the same command goes on from the last whole epoch",
) -> None:
    """Read `settings` from `arguments` (the command line's, if None), call `main`, and on an error leave the process.

    Exit code 2 for bad input, 1 for a run that stopped itself, 130 for Ctrl-C; each with one line on stderr."""
    warnings.showwarning = lambda message, *_args, **_kwargs: print(f"warning: {message}", file=sys.stderr)
    try:
        main(tyro.cli(settings, args=arguments, description=description))
    except KeyboardInterrupt:
        _leave(f"stopped: {interrupted}", 130)
    except (Stopped, Diverged) as error:
        _leave(f"stopped: {error}", 1)
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not re.search("(allocate|out of) memory", str(error)):
            raise
        _leave("stopped: memory is full. Take --batch 8, or --images stream, or a smaller --width", 1)
    except (ValueError, OSError) as error:
        _leave(f"error: {error}", 2)


def at_least_one(name: str, value: int | Sequence[int] | None) -> None:
    """Raise ValueError that names the setting for a count, or for any of several, below 1. None is a default."""
    if value is not None and min(value if isinstance(value, Sequence) else (value,), default=0) < 1:
        raise ValueError(f"--{name.replace('_', '-')} is {value}: take 1 or more")


def _leave(line: str, code: int) -> None:
    print(line, file=sys.stderr)
    sys.exit(code)
