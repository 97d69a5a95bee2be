"""Run a module of this package in a process of its own: for what would disturb, or be disturbed by, this one."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from cattrs.preconf.json import JsonConverter

from bcnn_prune.command_line.run import BAD_INPUT, INTERRUPTED, leave
from bcnn_prune.protocol import RunAborted

Job = TypeVar("Job")


def run_module_isolated(module: str, *arguments: str, label: str, threads: int | None = None) -> str:
    """Run `python -m experiments.<module>` and return the last line that it prints; `threads` sets OpenMP's number.

    Raises RunAborted, beginning with `label`, with the process' last line on stderr."""
    command = [sys.executable, "-m", f"experiments.{module}", *arguments]
    environment = None if threads is None else {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode < 0:
        raise RunAborted(f"{label}: killed by signal {-done.returncode}, as the system does when memory runs out")
    if done.returncode:
        raise RunAborted(f"{label}: {(done.stderr.strip() or 'no word said').splitlines()[-1]}")
    return done.stdout.splitlines()[-1]  # a compiler may have talked before


def do_job(
    do: Callable[[Job], object],
    kind: type[Job],
    json: JsonConverter,
    starter: str,
    arguments: Sequence[str] | None = None,
) -> None:
    """Be such a process: do the job of `kind` that stands on the command line as JSON, and print what comes of it.

    Anything that goes wrong is one line on stderr, which the process that started this one passes on. Whoever starts it
    by hand, without a job, is told of `starter`, the module to start instead, and of exit code 2."""
    try:
        (text,) = sys.argv[1:] if arguments is None else arguments
        job = json.loads(text, kind)
    except Exception:  # what a text that is no job sets off has no common type
        leave(
            f"error: this is a part of python -m experiments.{starter}, which gives it its work: start that", BAD_INPUT
        )
    try:
        print(json.dumps(do(job)))
    except KeyboardInterrupt:
        leave("stopped: nothing was written", INTERRUPTED)
    except Exception as error:
        leave(f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}", 1)
