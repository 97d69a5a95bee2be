"""Timing without processes: what is timed is opened here, as it would be there."""

import pickle
import time
from collections.abc import Mapping

from bcnn_prune.evaluation.isolated_latency import Open
from bcnn_prune.evaluation.latency import summary
from bcnn_prune.records import Latency


def opened_here(runtimes: Mapping[str, Open], batch: int, threads: int, rounds: int, **_: int) -> dict[str, Latency]:
    """As `timed_apart`, in this process. Each runtime goes the way of a process' arguments: through pickle."""
    samples: dict[str, list[float]] = {name: [] for name in runtimes}
    passes = {name: pickle.loads(pickle.dumps(opened))() for name, opened in runtimes.items()}
    for _turn in range(rounds):
        for name, run in passes.items():
            start = time.perf_counter()
            run()
            samples[name].append((time.perf_counter() - start) * 1e3)
    return {name: summary(ms, batch, threads, 0.0) for name, ms in samples.items()}
