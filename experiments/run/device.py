"""The device of a run, its number format, and where its images are kept."""

from pathlib import Path

import psutil
import torch

from bcnn_prune.cores import usable_cores
from bcnn_prune.data.batches import Split, StreamedSplit, read_split
from bcnn_prune.data.format import SPLITS
from bcnn_prune.records import DatasetInfo
from experiments.run.distributed import local_rank, local_world, processes_here


def device_for(asked: str) -> torch.device:
    """The device for --device, each process of torchrun its own GPU. Raises ValueError where it is not there."""
    if asked == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here; take --device cpu")
    if asked == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if local_world() > (gpus := torch.cuda.device_count()):
        raise ValueError(f"{local_world()} processes for {gpus} GPUs: take --nproc-per-node {gpus}, or --device cpu")
    return torch.device("cuda", local_rank())


def autocast_for(precision: str, device: torch.device) -> torch.dtype | None:
    """The number format of the trunk for --precision, None for fp32. bf16 emulated in software would only be slower."""
    return torch.bfloat16 if precision == "bf16" or (precision == "auto" and _computes_bf16(device)) else None


def _computes_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return torch._C._has_mkldnn and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def read_splits(path: Path, info: DatasetInfo, device: torch.device, cache: str) -> dict[str, Split]:
    """The splits in memory, or streamed from their file; auto streams those larger than half of the free memory.

    In memory, every process holds all images: an epoch's order may assign any image to any shard."""
    size = sum(info.images.values()) * info.side**2 * 3
    on_gpu, processes = device.type == "cuda", processes_here()
    free = torch.cuda.mem_get_info(device)[0] if on_gpu else psutil.virtual_memory().available / processes
    if cache == "memory" or (cache == "auto" and size <= free / 2):
        return {split: read_split(path, split, device) for split in SPLITS}
    # A reader copies 20,000 images per second: few are enough.
    workers = max(1, min(8, usable_cores() // processes - 1))
    return {split: StreamedSplit(path, split, info.digest, device, workers) for split in SPLITS}
