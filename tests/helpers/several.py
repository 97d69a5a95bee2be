"""Several processes for one test: forked by torchrun's own agent, so that they start in no time."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

# What joining imports as it needs it, here, so that no forked process has to.
import accelerate  # noqa: F401
import torch
import torch._dynamo
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch


def several(world: int, run: Callable[..., Any], *arguments: object) -> dict[int, int]:
    """Call `run` in `world` processes as torchrun would, and return the exit code of each that failed, by rank."""
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=world,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        rdzv_configs={"is_host": True},
        max_restarts=0,
        run_id="test",
        monitor_interval=0.05,
        start_method="fork",
    )
    with patch.dict(os.environ, OMP_NUM_THREADS="1"):
        try:
            elastic_launch(config, _alone_in_its_thread)(run, *arguments)
        except ChildFailedError as error:
            return {rank: failure.exitcode for rank, failure in error.failures.items()}
    return {}


def _alone_in_its_thread(run: Callable[..., None], *arguments: object) -> None:
    torch.set_num_threads(1)
    gc.freeze()  # or every collection would copy the parent's memory
    run(*arguments)


def tensors(folder: Path, name: str, world: int) -> list[Any]:
    """Tensors that each rank saved as `name`, by rank."""
    return [torch.load(folder / f"{name}-{rank}.pt") for rank in range(world)]
