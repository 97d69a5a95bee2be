"""Forward time on the CPU, of runtimes each in a process of its own, timed in turn."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing.connection import Connection

import torch

from bcnn_prune.evaluation.cpu_load import CpuLoad
from bcnn_prune.evaluation.latency import Pass, Samples
from bcnn_prune.records import Latency

Open = Callable[[], Pass]
"""Loads a network into its runtime and returns its pass. Is called in the process that times it, so it must pickle."""
Network = Callable[[int], Pass]
"""A network in its runtime: makes a batch of so many images ready and returns its pass."""
OpenNetwork = Callable[[], Network]
"""As `Open`, for several batch sizes."""


class LatencyError(RuntimeError):
    """A runtime failed where it should have passed a batch on."""


def timed_apart(
    runtimes: Mapping[str, Open], batch: int, threads: int, rounds: int = 30, settle_ms: float = 50
) -> dict[str, Latency]:
    """Milliseconds of one pass of `batch` images, by runtime, as `sampled_apart` times them."""
    networks = {name: partial(_of_one_batch, opened) for name, opened in runtimes.items()}
    (samples,) = sampled_apart(networks, {batch: rounds}, threads, settle_ms)
    return {name: samples.latency(name) for name in runtimes}


def sampled_apart(
    runtimes: Mapping[str, OpenNetwork],
    rounds: Mapping[int, int],
    threads: int,
    settle_ms: float = 50,
    report: Callable[[int, int], None] = lambda batch, done: None,
) -> list[Samples]:
    """Milliseconds of one pass, by runtime, each in a process of its own that waits while another one is timed.

    `rounds` says how many for each batch size. Thread pools of several runtimes in one process disturb each other. In
    every round each process makes passes for `settle_ms`, one at least, before the one that counts: the first ones find
    the caches, and perhaps spinning threads, that the process before it left. One round more goes before all others, to
    warm up. `threads` pins the processes to as many cores and sets the threads of OpenMP and torch;
    those of other pools are for the opener to set. `report(batch, done)` is called after each round. Raises
    LatencyError, with its words, for a runtime that fails."""
    found = []
    with _processes(runtimes, threads) as workers:
        for worker in workers:
            worker.answer()  # it is open
        for batch, count in rounds.items():
            for worker in workers:
                worker.milliseconds(batch, settle_ms)
            samples: dict[str, list[float]] = {worker.name: [] for worker in workers}
            with CpuLoad([worker.process for worker in workers]) as load:
                for done in range(1, count + 1):
                    for worker in workers:
                        samples[worker.name].append(worker.milliseconds(batch, settle_ms))
                    report(batch, done)
            found.append(Samples(samples, batch, threads, load.of_others))
    return found


@dataclass(frozen=True)
class _Worker:
    """A process that times one runtime whenever it is asked to."""

    name: str
    process: int
    pipe: Connection

    def milliseconds(self, batch: int, settle_ms: float) -> float:
        """Of the first pass that starts so long after others have run, one at least."""
        with suppress(OSError):  # of a process that is gone, of which the answer tells
            self.pipe.send((batch, settle_ms))
        return self.answer()

    def answer(self) -> float:
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            answer = "its process died"
        if isinstance(answer, str):
            raise LatencyError(f"{self.name} cannot be timed: {answer}")
        return float(answer)


@contextmanager
def _processes(runtimes: Mapping[str, OpenNetwork], threads: int) -> Iterator[list[_Worker]]:
    """A process for each runtime, opening it; all are gone at the end."""
    context = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0))[:threads] if hasattr(os, "sched_getaffinity") else None
    processes, workers, before = [], [], os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when a child loads its libraries
    try:
        for name, opened in runtimes.items():
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, opened, threads, cores), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            assert process.pid is not None
            workers.append(_Worker(name, process.pid, ours))
        yield workers
    finally:
        for process in processes:
            process.kill()
            process.join()
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _of_one_batch(opened: Open) -> Network:
    run = opened()
    return lambda _batch: run


def _serve(pipe: Connection, opened: OpenNetwork, threads: int, cores: Sequence[int] | None) -> None:
    """In the child: open, say so, and then answer (batch, settle_ms) with the milliseconds of a pass."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent ends this one
    try:
        if cores is not None:
            os.sched_setaffinity(0, cores)
        torch.set_num_threads(threads)
        ready = cache(opened())
        pipe.send(0.0)
        while True:
            batch, settle_ms = pipe.recv()
            run = ready(batch)
            settled = time.perf_counter() + settle_ms / 1e3
            run()
            while time.perf_counter() < settled:
                run()
            start = time.perf_counter()
            run()
            pipe.send((time.perf_counter() - start) * 1e3)
    except EOFError:
        return
    except Exception as error:  # any runtime's own; the parent has to hear of it
        pipe.send(f"{type(error).__name__}: {error}")
