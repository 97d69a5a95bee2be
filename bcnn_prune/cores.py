"""How many cores there are to use."""

import os


def usable_cores() -> int:
    """Cores that this process may run on: in a batch system's job often fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
