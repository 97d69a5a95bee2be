"""Several processes for one run, joined through Accelerate.

    torchrun --nproc-per-node 2 -m experiments.oneshot --dataset cars --prune 0.4

torchrun starts them, gives each its rank by environment variables, and ends all of them where one fails."""

import copy
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from bcnn_prune.distributed import SINGLE_PROCESS, ProcessGroup, T

# Rank 0 may wait for days while another run trains the phase that both want. A rank that has died is no reason for a
# limit: torchrun then ends the others.
PATIENCE = timedelta(days=7)
RUNS_HERE = "BCNN_PRUNE_RUNS_HERE"
"""The environment variable that tells a run how many are trained on this machine at once; there are others only on
Ray."""


def rank() -> int:
    """Rank of this process among all; 0 where it is the only one."""
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    """Number of processes of the run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """Rank of this process on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def local_world() -> int:
    """Number of processes of the run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def processes_here() -> int:
    """Number of processes that share this machine: the run's own, and those of the runs beside it."""
    return local_world() * int(os.environ.get(RUNS_HERE, "1"))


def join_process_group(device: torch.device) -> ProcessGroup:
    """The processes that torchrun started, once all of them are there; one alone where it did not, or only one.

    Raises ValueError where Accelerate is not installed, or refuses these GPUs."""
    return SINGLE_PROCESS if world() == 1 else _join(device.type == "cuda")


@cache
def _join(on_gpu: bool) -> ProcessGroup:
    try:
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
    except ImportError as error:
        raise ValueError("several processes need a package more: pip install --editable '.[cluster]'") from error
    # What rank 0 tells goes by Gloo beside GPUs, too: waiting for it keeps neither processor nor GPU busy.
    backend = "cuda:nccl,cpu:gloo" if on_gpu else "gloo"
    handlers = [
        InitProcessGroupKwargs(backend=backend, timeout=PATIENCE),
        DistributedDataParallelKwargs(broadcast_buffers=False),  # `fit` levels BN statistics, once an epoch
    ]
    try:
        engine = Accelerator(cpu=not on_gpu, kwargs_handlers=handlers)
    except NotImplementedError as error:  # GPUs that cannot talk to each other as they are; it says what to set
        raise ValueError(str(error)) from error
    batch_norm = "synchronised" if on_gpu else "per rank"  # torch synchronises BN on GPUs only
    return TorchrunGroup(engine.process_index, engine.num_processes, batch_norm, engine)


def destroy_process_group() -> None:
    """Destroy the process group after a successful run."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@dataclass(frozen=True)
class TorchrunGroup(ProcessGroup):
    """One of several processes: distributed data parallel, by Accelerate."""

    engine: Any = None
    """An accelerate.Accelerator."""

    def sum(self, tensor: Tensor) -> Tensor:
        total: Tensor = self.engine.reduce(tensor, "sum")
        return total

    def on_rank_zero(self, make: Callable[[], T]) -> T:
        from accelerate.utils import broadcast_object_list

        answer: list[Any] = [None, None]
        if self.rank == 0:
            try:
                answer[0] = make()
            except Exception as error:  # whatever it is: the others must not wait for an answer that never comes
                answer[1] = error
        value, raised = broadcast_object_list(answer)
        if raised is not None:
            raise raised
        result: T = value
        return result

    def wrap_ddp(self, model: nn.Module) -> nn.Module:
        self.engine.free_memory()  # of the network before
        twin = twin_of(model, self.batch_norm == "synchronised")
        with warnings.catch_warnings():
            # torch 2.15 renames broadcast_buffers; Accelerate and older versions know it by this name only.
            warnings.simplefilter("ignore", FutureWarning)
            net: nn.Module = self.engine.prepare_model(twin, device_placement=False)
        return net


def twin_of(model: nn.Module, synchronised: bool) -> nn.Module:
    """A copy of the modules on the same parameters and buffers, which both train: with SyncBatchNorm or as they are.

    So nobody but the forward pass of a training step ever sees a SyncBatchNorm."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    twin = copy.deepcopy(model, shared)
    if synchronised:
        twin = nn.SyncBatchNorm.convert_sync_batchnorm(twin)  # type: ignore[no-untyped-call]
    return twin
