"""Forward time on the CPU, of networks in one process.

All that is compared is timed in turn, so that a busy moment of the machine affects all alike."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from bcnn_prune.evaluation.cpu_load import CpuLoad
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.records import Latency, SpeedUp

Pass = Callable[[], object]
"""One forward pass of a batch that lies ready."""


@torch.inference_mode()
def timed_in_turn(
    models: Mapping[str, BilinearCNN], side: int, batch: int = 1, rounds: int = 30, warm_up: int = 5
) -> dict[str, Latency]:
    """Milliseconds of one eager fp32 forward pass of `batch` images, by network, alternating, after `warm_up` rounds.

    Networks must lie on the CPU; they are put in evaluation mode and, as they train, channels-last."""
    images = torch.zeros(batch, 3, side, side)
    for model in models.values():
        model.eval().to(memory_format=torch.channels_last)
    passes = {name: partial(model, images) for name, model in models.items()}
    return passes_in_turn(passes, torch.get_num_threads(), batch, rounds, warm_up)


def passes_in_turn(
    passes: Mapping[str, Pass], threads: int, batch: int = 1, rounds: int = 30, warm_up: int = 5, settling: int = 0
) -> dict[str, Latency]:
    """Milliseconds of each pass, alternating, after `warm_up` rounds.

    `settling` passes go untimed before each that counts: it finds its weights in the caches, as where nothing else
    runs. `threads` and `batch` are what the passes compute with and on; they are only noted."""
    samples: dict[str, list[float]] = {name: [] for name in passes}
    with CpuLoad() as load:
        for turn in range(warm_up + rounds):
            for name, run in passes.items():
                for _ in range(settling):
                    run()
                start = time.perf_counter()
                run()
                if turn >= warm_up:
                    samples[name].append((time.perf_counter() - start) * 1e3)
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
        """Speed-up of a runtime over `to`, round by round."""
        ratios = [other / own for own, other in zip(self.ms[name], self.ms[to], strict=True)]
        return SpeedUp(*(float(f"{q:.5g}") for q in np.quantile(ratios, (0.5, 0.25, 0.75))))


def summary(samples: Sequence[float], batch: int, threads: int, load: float) -> Latency:
    """Median and quartiles of milliseconds, to a tenth of a microsecond."""
    lower, median, upper = (round(float(q), 4) for q in np.quantile(samples, (0.25, 0.5, 0.75)))
    return Latency(median, lower, upper, len(samples), batch, threads, round(load, 2))
