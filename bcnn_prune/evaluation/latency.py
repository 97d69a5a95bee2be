"""Forward time on the CPU: of networks in one process, and of runtimes each in a process of its own.

What is compared is timed in turn, so that a busy moment of the machine hits all alike."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing.connection import Connection

import numpy as np
import psutil
import torch

from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.records import Latency, SpeedUp

Pass = Callable[[], object]
"""One forward pass of a batch that lies ready."""
Open = Callable[[], Pass]
"""Loads a network into its runtime and returns its pass. Is called in the process that times it, so it must pickle."""
Network = Callable[[int], Pass]
"""A network in its runtime: makes a batch of so many images ready and returns its pass."""
OpenNetwork = Callable[[], Network]
"""As `Open`, for several batch sizes."""


class LatencyError(RuntimeError):
    """A runtime failed where it should have passed a batch on."""


@torch.inference_mode()
def timed_in_turn(
    models: Mapping[str, BilinearCNN], side: int, batch: int = 1, rounds: int = 30, warm_up: int = 5
) -> dict[str, Latency]:
    """Milliseconds of one eager fp32 forward pass of `batch` images, by network, alternating, after `warm_up` rounds.

    Networks must lie on the CPU; they are put in evaluation mode and, as they train, channels-last."""
    images = torch.zeros(batch, 3, side, side)
    samples: dict[str, list[float]] = {name: [] for name in models}
    for model in models.values():
        model.eval().to(memory_format=torch.channels_last)
    with Load() as load:
        for turn in range(warm_up + rounds):
            for name, model in models.items():
                start = time.perf_counter()
                model(images)
                if turn >= warm_up:
                    samples[name].append((time.perf_counter() - start) * 1e3)
    threads = torch.get_num_threads()
    return {name: summary(ms, batch, threads, load.of_others) for name, ms in samples.items()}


@dataclass(frozen=True)
class Samples:
    """Milliseconds of a forward pass of `batch` images, by runtime: one value a round, in which each had its turn."""

    ms: Mapping[str, Sequence[float]]
    batch: int
    threads: int
    load: float
    """Cores that other processes kept busy meanwhile."""

    def latency(self, name: str) -> Latency:
        """Of one runtime."""
        return summary(self.ms[name], self.batch, self.threads, self.load)

    def speed_up(self, name: str, to: str) -> SpeedUp:
        """How many times as fast as `to` a runtime is, each round by itself."""
        ratios = [other / own for own, other in zip(self.ms[name], self.ms[to], strict=True)]
        return SpeedUp(*(float(f"{q:.5g}") for q in np.quantile(ratios, (0.5, 0.25, 0.75))))


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
    warm up. `threads` pins the processes to as many cores and tells OpenMP and torch of it; what else
    has threads must be told by its opener. `report` hears the batch size and of each finished round. Raises
    LatencyError, with its words, for a runtime that fails."""
    found = []
    with _processes(runtimes, threads) as workers:
        for worker in workers:
            worker.answer()  # it is open
        for batch, count in rounds.items():
            for worker in workers:
                worker.milliseconds(batch, settle_ms)
            samples: dict[str, list[float]] = {worker.name: [] for worker in workers}
            with Load([worker.process for worker in workers]) as load:
                for done in range(1, count + 1):
                    for worker in workers:
                        samples[worker.name].append(worker.milliseconds(batch, settle_ms))
                    report(batch, done)
            found.append(Samples(samples, batch, threads, load.of_others))
    return found


BUSY = 0.2
"""Cores kept busy by other work above which times are in doubt: beside 1.5 of them, 1.33 times as fast read 3.44."""


def told_load(loads: Iterable[float | None]) -> str:
    """What other work did meanwhile, by the largest of these loads, and above BUSY that the times are in doubt."""
    largest = max((load for load in loads if load is not None), default=None)
    if largest is None:
        return "other work was not looked at"
    told = f"other work kept up to {largest:.2f} cores busy"
    return told if largest <= BUSY else f"{told}: do not trust these times, measure again on an idle machine"


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


@dataclass(frozen=True)
class _Worker:
    """A process that times one runtime whenever it is asked to."""

    name: str
    process: int
    pipe: Connection

    def milliseconds(self, batch: int, settle_ms: float) -> float:
        """Of the first pass that starts so long after others have run, one at least."""
        self.pipe.send((batch, settle_ms))
        return self.answer()

    def answer(self) -> float:
        try:
            answer = self.pipe.recv()
        except EOFError:
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
