"""The fastest square matrix product of this machine: the peak that a training step is compared with.

`python -m experiments.run.matmul_peak cpu fp32 bf16` prints GFLOP/s by number format as JSON, in ten seconds. Measured,
not looked up, in a process of its own: thread pools disturb each other."""

import json
import time
from dataclasses import dataclass
from typing import Literal

import torch
import tyro

from experiments.run import cli

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIDES = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192)}
SECONDS = 0.5
"""Seconds for which products of one size are repeated; the fastest one counts."""


@dataclass(frozen=True)
class Settings:
    device: tyro.conf.Positional[Literal["cpu", "cuda"]]
    formats: tyro.conf.Positional[tuple[Literal["fp32", "bf16"], ...]] = ("fp32",)
    """Number formats, one measured after the other."""


def main(settings: Settings) -> None:
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("torch sees no GPU here: take cpu")
    print(json.dumps({name: matmul_peak(settings.device, name) for name in settings.formats}))


def matmul_peak(device: str, number_format: str) -> float:
    """GFLOP/s of the fastest product of two square matrices of random numbers, two FLOPs a multiply-add."""
    if device == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32, in which cuDNN's fp32 convolutions run without being asked
    return max(_gflops(device, FORMATS[number_format], side) for side in SIDES[device])


def _gflops(device: str, dtype: torch.dtype, side: int) -> float:
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    product = a @ b  # the first one also sets up
    fastest, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        torch.mm(a, b, out=product)
        if device == "cuda":
            torch.cuda.synchronize()
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * side**3 / fastest / 1e9


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was measured")
