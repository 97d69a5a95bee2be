"""Run another module of this package in a process of its own: for what would disturb, or be disturbed by, this one."""

import os
import subprocess
import sys

from bcnn_prune.protocol import Stopped


def alone(module: str, *arguments: str, what: str, threads: int | None = None) -> str:
    """The last line that a module of this package prints; with `threads`, OpenMP is told so many.

    Raises Stopped with `what` failed and the process' last line on stderr."""
    command = [sys.executable, "-m", f"experiments.{module}", *arguments]
    environment = None if threads is None else {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode < 0:
        raise Stopped(f"{what}: killed by signal {-done.returncode}, as the system does when memory runs out")
    if done.returncode:
        raise Stopped(f"{what}: {(done.stderr.strip() or 'no word said').splitlines()[-1]}")
    return done.stdout.splitlines()[-1]  # a compiler may have talked before
