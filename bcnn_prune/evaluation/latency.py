"""Forward time on the CPU: of networks in one process, and of runtimes each in a process of its own.

What is compared is timed in turn, so that a busy moment of the machine hits all alike."""

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection

import numpy as np
import psutil
import torch

from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.records import Latency

Pass = Callable[[], object]
"""One forward pass of a batch that lies ready."""
Open = Callable[[], Pass]
"""Loads a network into its runtime and returns its pass. Is called in the process that times it, so it must pickle."""


@torch.inference_mode()
def timed_in_turn(
    models: Mapping[str, BilinearCNN], side: int, batch: int = 1, rounds: int = 30, warm_up: int = 5
) -> dict[str, Latency]:
    """Milliseconds of one eager fp32 forward pass of `batch` images, by network, alternating, after `warm_up` rounds.

    Networks must lie on the CPU; they are put in evaluation mode."""
    images = torch.zeros(batch, 3, side, side)
    samples: dict[str, list[float]] = {name: [] for name in models}
    for model in models.values():
        model.eval()
    with Load() as load:
        for turn in range(warm_up + rounds):
            for name, model in models.items():
                start = time.perf_counter()
                model(images)
                if turn >= warm_up:
                    samples[name].append((time.perf_counter() - start) * 1e3)
    threads = torch.get_num_threads()
    return {name: summary(ms, batch, threads, load.of_others) for name, ms in samples.items()}


def timed_apart(
    runtimes: Mapping[str, Open], batch: int, threads: int, rounds: int = 30, passes: int = 3, warm_up: int = 5
) -> dict[str, Latency]:
    """Milliseconds of one pass, by runtime, each in a process of its own that waits while another one is timed.

    Thread pools of several runtimes in one process disturb each other. In every round each process makes `passes`
    passes and only the last counts: the first ones find the caches that the process before it left. `threads` pins the
    processes to as many cores and tells OpenMP and torch of it; what else has threads must be told by its `Open`.
    Raises RuntimeError, with its words, for a runtime that fails."""
    context = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0))[:threads] if hasattr(os, "sched_getaffinity") else None
    workers, before = {}, os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when a child loads its libraries
    try:
        for name, opened in runtimes.items():
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, opened, threads, cores), daemon=True)
            process.start()
            theirs.close()
            workers[name] = (process, ours)
        for name, (_, pipe) in workers.items():
            _answer(name, pipe)  # ready
        for name, (_, pipe) in workers.items():
            pipe.send(warm_up)
            _answer(name, pipe)
        samples: dict[str, list[float]] = {name: [] for name in workers}
        with Load([process.pid for process, _ in workers.values() if process.pid]) as load:
            for _ in range(rounds):
                for name, (_, pipe) in workers.items():
                    pipe.send(passes)
                    samples[name].append(_answer(name, pipe))
        return {name: summary(ms, batch, threads, load.of_others) for name, ms in samples.items()}
    finally:
        for process, _ in workers.values():
            process.kill()
            process.join()
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


class Load:
    """While entered, sees how many cores other processes than this one and `children` keep busy: `of_others`."""

    def __init__(self, children: Sequence[int] = ()) -> None:
        self._ours = [psutil.Process(), *map(psutil.Process, children)]
        self.of_others = 0.0

    def __enter__(self) -> "Load":
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


def summary(samples: Sequence[float], batch: int, threads: int, load: float) -> Latency:
    """Median and quartiles of milliseconds, to a tenth of a microsecond."""
    lower, median, upper = (round(float(q), 4) for q in np.quantile(samples, (0.25, 0.5, 0.75)))
    return Latency(median, lower, upper, len(samples), batch, threads, round(load, 2))


def _serve(pipe: Connection, opened: Open, threads: int, cores: Sequence[int] | None) -> None:
    """In the child: open, say so, and then answer every number with the milliseconds of the last of as many passes."""
    try:
        if cores is not None:
            os.sched_setaffinity(0, cores)
        torch.set_num_threads(threads)
        run = opened()
        pipe.send(0.0)
        while True:
            taken = 0.0
            for _ in range(pipe.recv()):
                start = time.perf_counter()
                run()
                taken = (time.perf_counter() - start) * 1e3
            pipe.send(taken)
    except EOFError:
        return
    except Exception as error:  # any runtime's own; the parent has to hear of it
        pipe.send(f"{type(error).__name__}: {error}")


def _answer(name: str, pipe: Connection) -> float:
    try:
        answer = pipe.recv()
    except EOFError:
        answer = "its process died"
    if isinstance(answer, str):
        raise RuntimeError(f"{name} cannot be timed: {answer}")
    return float(answer)
