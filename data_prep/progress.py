"""Show progress: a bar on a terminal, elsewhere a line now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from data_prep.write import Report

EVERY = 10
"""Seconds between two lines where there is no terminal."""


@contextmanager
def progress_reporter(console: Console, unit: str = "images") -> Iterator[Report]:
    """A `Report` that prints to the console: one progress bar per task on a terminal, else lines."""
    if not console.is_terminal:
        yield _lines(console, unit)
        return
    tasks: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:

        def report(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = progress.add_task(doing, total=total)
            progress.update(tasks[doing], completed=done)

        yield report


def _lines(console: Console, unit: str) -> Report:
    last = time.monotonic()

    def report(doing: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            console.print(f"{doing}: {done:,} of {total:,} {unit}", highlight=False)

    return report
