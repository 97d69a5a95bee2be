"""From a command line to a function and an exit code: settings are a dataclass, a user's mistake is one line."""

import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from bcnn_prune.command_line.parse import parse
from bcnn_prune.command_line.run import BAD_INPUT, INTERRUPTED, call, one_line, quiet_when_unread
from bcnn_prune.evaluation.isolated_latency import LatencyError
from bcnn_prune.protocol import RunAborted
from bcnn_prune.training.fit import Diverged
from experiments.run.distributed import destroy_process_group, rank

Settings = TypeVar("Settings")
LOST = "closed by peer|gloo/transport|NCCL error"
GRACE = 10  # seconds in which rank 0 has said what stops all ranks, and torchrun has ended them


def run(
    main: Callable[[Settings], None],
    settings: type[Settings],
    description: str | None,
    arguments: Sequence[str] | None = None,
    interrupted: str = "what was finished is saved, and the same command goes on from the last whole epoch",
    memory: str = "Take --batch 8, or --data-cache stream, or a smaller --width",
) -> None:
    """Read `settings` from `arguments` (the command line's, if None), call `main`, and on an error leave the process.

    Exit code 2 for bad input, 1 for a run that stopped itself, 130 for Ctrl-C; each with one line on stderr, and one
    only where the run is several processes. `memory` is the way out of a full memory."""
    speaks = rank() == 0
    warnings.showwarning = lambda message, *_args, **_kwargs: _warn(message) if speaks else None
    try:
        with quiet_when_unread():
            _run(lambda: call(main, parse(settings, arguments, description, speaks, main.__module__)), memory)
    except BrokenPipeError as error:  # another pipe than the one that the user reads
        _leave(f"error: {error}", BAD_INPUT)
    except KeyboardInterrupt:  # also while `_run` explains that another process was interrupted first
        if speaks:
            print(f"stopped: {interrupted}", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _run(work: Callable[[], None], memory: str) -> None:
    try:
        work()
        destroy_process_group()
    except (RunAborted, Diverged, LatencyError) as error:
        _leave(f"stopped: {error}", 1)
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        if re.search(LOST, str(error)):
            _leave(
                "stopped: another process of this run is gone. The same command goes on from the last whole epoch", 1
            )
        if isinstance(error, RuntimeError) and not re.search("(allocate|out of) memory", str(error)):
            raise
        _leave(f"stopped: memory is full. {memory}", 1)
    except BrokenPipeError:
        raise
    except (ValueError, OSError) as error:
        _leave(f"error: {error}", BAD_INPUT)


def _warn(message: Warning | str) -> None:
    print(one_line(f"warning: {message}"), file=sys.stderr)


def _leave(line: str, code: int) -> None:
    if rank():
        # What stops all processes rank 0 says, and when it has left torchrun ends this one before it speaks. What
        # stops this one alone, it must say itself.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(code))
        time.sleep(GRACE)
        line = f"rank {rank()}: {line}"
    print(one_line(line), file=sys.stderr)
    sys.exit(code)
