"""Forward time on the CPU, networks timed in turn so that a busy moment of the machine hits all of them alike."""

import time
from collections.abc import Mapping

import numpy as np
import torch

from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.records import Latency


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
    for turn in range(warm_up + rounds):
        for name, model in models.items():
            start = time.perf_counter()
            model(images)
            if turn >= warm_up:
                samples[name].append((time.perf_counter() - start) * 1e3)
    return {name: _summary(ms, batch) for name, ms in samples.items()}


def _summary(samples: list[float], batch: int) -> Latency:
    lower, median, upper = (round(float(q), 4) for q in np.quantile(samples, (0.25, 0.5, 0.75)))
    return Latency(median, lower, upper, rounds=len(samples), batch=batch, threads=torch.get_num_threads())
