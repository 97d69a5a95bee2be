"""Run a command: bad input ends it with one line on stderr and an exit code, never with a traceback."""

import os
import select
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import NoReturn, TypeVar

from bcnn_prune.command_line.parse import parse
from bcnn_prune.command_line.system_errors import in_words

Settings = TypeVar("Settings")

BAD_INPUT, INTERRUPTED, UNREAD = 2, 130, 141  # the last two as a shell tells SIGINT and SIGPIPE


def run(
    main: Callable[[Settings], None],
    settings: type[Settings],
    description: str | None,
    arguments: Sequence[str] | None = None,
    interrupted: str = "nothing was written",
) -> None:
    """Read `settings` from `arguments` (the command line's, if None) and call `main`.

    Leaves the process with code 2 for bad input and 130 for Ctrl-C, each with one line on stderr."""
    try:
        with quiet_when_unread():
            call(main, parse(settings, arguments, description, module=main.__module__))
    except KeyboardInterrupt:
        leave(f"stopped: {interrupted}", INTERRUPTED)
    except (ValueError, OSError) as error:
        leave(f"error: {error}", BAD_INPUT)
    except MemoryError:
        leave("error: memory is full", BAD_INPUT)


def call(main: Callable[[Settings], None], settings: Settings) -> None:
    """`main` with `settings`, errors of the system told with the option that they come from."""
    with in_words(settings):
        main(settings)


def leave(line: str, code: int) -> NoReturn:
    """Print `line` on stderr and leave the process with `code`."""
    print(one_line(line), file=sys.stderr)
    sys.exit(code)


def one_line(text: str) -> str:
    """`text` with its line breaks as blanks: messages of libraries have some."""
    return " ".join(text.split())


@contextmanager
def quiet_when_unread() -> Iterator[None]:
    """Leave the process without a word once nobody reads its output any more, as after `| head`.

    Bytes of a file's name that the output's encoding has no character for are written as \\xff."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # here, and not by the interpreter as it leaves, which would print a traceback
    except BrokenPipeError:
        if not _unread():
            raise
        # What is still in the buffer must have somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UNREAD)


def _unread() -> bool:
    """Whether stdout is a pipe whose reader is gone, so that it is not some other pipe that broke."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
