"""CPU load of other processes while something is timed."""

import time
from collections.abc import Iterable, Sequence

import psutil

BUSY = 0.2
"""Cores kept busy by other work above which times are in doubt: beside 1.5 of them, 1.33 times as fast read 3.44."""


def describe_load(loads: Iterable[float | None]) -> str:
    """What other work did meanwhile, by the largest of these loads, and above BUSY that the times are in doubt."""
    largest = max((load for load in loads if load is not None), default=None)
    if largest is None:
        return "other work was not looked at"
    told = f"other work kept up to {largest:.2f} cores busy"
    return told if largest <= BUSY else f"{told}: do not trust these times, measure again on an idle machine"


class CpuLoad:
    """While entered, sees how many cores other processes than this one and `children` keep busy: `of_others`."""

    def __init__(self, children: Sequence[int] = ()) -> None:
        self._ours = [psutil.Process(), *map(psutil.Process, children)]
        self.of_others = 0.0

    def __enter__(self) -> "CpuLoad":
        self._start = time.perf_counter(), *self._busy()
        return self

    def __exit__(self, *_: object) -> None:
        seconds, all_busy, ours_busy = (
            now - then for now, then in zip((time.perf_counter(), *self._busy()), self._start, strict=True)
        )
        self.of_others = max(0.0, (all_busy - ours_busy) / seconds) if seconds else 0.0

    def _busy(self) -> tuple[float, float]:
        """CPU seconds that all processes have used, and these of them."""
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        ours = sum(used.user + used.system for used in (process.cpu_times() for process in self._ours))
        return sum(times[:8]) - idle, ours  # of Linux' ten the last two, guests, are in the first two already
