"""Provenance of a record: versions, machine, time. Enough to explain a difference, nothing that names a person."""

import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from subprocess import DEVNULL, CalledProcessError, check_output

import torch

from bcnn_prune.distributed import SINGLE_PROCESS, ProcessGroup
from bcnn_prune.phase import METHOD
from experiments.run import cpu


def provenance(
    device: torch.device, autocast: torch.dtype | None, ranks: ProcessGroup = SINGLE_PROCESS
) -> dict[str, str]:
    """Versions of what computes, the commit, processor and device, threads, number format, and the time in UTC.

    With several ranks also their number, and how BN took its statistics."""
    return {
        "commit": _commit(),
        "method": str(METHOD),
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "torchvision", "timm", "numpy")},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu.name(),
        "instructions": " ".join(cpu.instructions()) or "unknown",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": str(torch.get_num_threads()),
        **({"ranks": str(ranks.world), "batch_norm": ranks.batch_norm} if ranks.world > 1 else {}),
        "trunk": number_format(autocast),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def number_format(autocast: torch.dtype | None) -> str:
    """As a record names the format of the trunk; None stands for fp32."""
    return str(autocast or torch.float32).removeprefix("torch.")


def require_same_machine(held: Mapping[str, str], here: Mapping[str, str], names: Iterable[str], path: Path) -> None:
    """Raise ValueError where times that a file holds cannot stand beside this machine's, by these entries."""
    for name in names:
        if held.get(name) != here[name]:
            raise ValueError(
                f"{path} holds times of another machine: its {name} {held.get(name)}, here {here[name]}; "
                "name another folder with --out, or remove it"
            )


def _commit() -> str:
    """The commit of this source tree, with + if it was changed since; "unknown" outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = check_output([*git, "rev-parse", "--short=12", "HEAD"], stderr=DEVNULL, text=True).strip()
        changed = check_output([*git, "status", "--porcelain", "--untracked-files=no"], stderr=DEVNULL, text=True)
    except (OSError, CalledProcessError):
        return "unknown"
    return commit + "+" * bool(changed)
