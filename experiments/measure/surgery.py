"""Time and memory of surgery, beside Torch-Pruning.

    python -m experiments.measure.surgery --out results/surgery

takes four minutes on two idle cores and up to 13 GB, and writes surgery.json. Random channels are cut from the VGG-16
BCNN with 200 classes and fresh weights, each time in a process of its own. `rebuild` and Torch-Pruning both cut the
whole network, with its last layer kept. With the last layer cut too, Torch-Pruning starts from narrow networks.
Logits are compared with those of the network with the same channels silenced. A process that exceeds --seconds or
--gigabytes is killed and recorded as killed. `python -m thesis_figures` makes the table of results/surgery.

Needs Linux, and torch-pruning: pip install --editable '.[comparisons]'."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil
import torch

from bcnn_prune.command_line.check import at_least, more_than, shares, some
from bcnn_prune.command_line.parse import Share
from bcnn_prune.files import require_writable, write_text
from bcnn_prune.protocol import RunAborted
from bcnn_prune.pruning.ranking import drop_counts, require_possible
from bcnn_prune.records import json_file
from bcnn_prune.records.json_file import CONVERTER
from bcnn_prune.records.surgery import SurgeryCost, SurgeryJob, SurgeryOutcome, SurgeryRun, file_of
from bcnn_prune.spec import ModelSpec
from experiments.measure.surgery_worker import CLEAR, MIN_CHANNELS, READY
from experiments.run import cli
from experiments.run.console import terminal
from experiments.run.provenance import provenance
from thesis_figures.tables.formats import as_markdown
from thesis_figures.tables.surgery import table

BACKBONE = "vgg16"
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Settings:
    shares: tuple[Share, ...] = (0.4, 0.6, 0.8)
    """Shares of all channels to cut."""
    classes: int = 200
    width: float = 1.0
    """Width of the network that both tools cut at all shares, as a multiple of VGG-16's."""
    narrower: tuple[float, ...] = (1 / 128, 1 / 64, 1 / 8, 1 / 4, 1 / 2)
    """Widths at which Torch-Pruning cuts the first of the shares from all layers, before it does so at `width`."""
    repeats: int = 5
    """Processes per surgery that ends."""
    seconds: float = 20.0
    """Seconds from the beginning of the surgery, after which a process is killed."""
    gigabytes: float = 12.0
    """Resident memory in 10⁹ bytes, above which a process is killed."""
    out: Path = Path("runs/surgery")
    """Folder of surgery.json."""


def jobs(settings: Settings) -> Iterator[SurgeryJob]:
    """Each job once: ours, Torch-Pruning with the last layer kept, and with it cut, the narrowest network first."""
    spec = ModelSpec.of(BACKBONE, settings.classes, settings.width)
    for share in settings.shares:
        yield SurgeryJob("rebuild", spec, share)
    for share in settings.shares:
        yield SurgeryJob("rebuild", spec, share, last=False)
        yield SurgeryJob("torch-pruning", spec, share, last=False)
    for width in (*settings.narrower, settings.width):
        yield SurgeryJob("torch-pruning", ModelSpec.of(BACKBONE, settings.classes, width), settings.shares[0])


def require_cuttable(job: SurgeryJob) -> None:
    """Raise ValueError where the share is more than can go. All layers are ranked, even if the last one stays."""
    (drop,) = drop_counts(job.spec.channels, job.share)
    require_possible(job.spec.width_of, drop, MIN_CHANNELS)


def run_limited(job: SurgeryJob, seconds: float, limit_bytes: int) -> SurgeryRun:
    """Run one process and kill it above a limit. Raises RunAborted with its last error where it fails by itself."""
    command = [sys.executable, "-m", "experiments.measure.surgery_worker", CONVERTER.dumps(job)]
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr = Path(folder) / "out", Path(folder) / "err"
        start, largest, killed = float("inf"), 0, ""
        with stdout.open("w") as out, stderr.open("w") as err:
            process = subprocess.Popen(command, stdout=out, stderr=err)
        try:
            while process.poll() is None:
                largest = max(largest, _resident(process.pid))
                start = min(start, time.perf_counter()) if READY in _read(stdout) else start
                if largest > limit_bytes:
                    killed = f"more than {limit_bytes / 1e9:g} GB"
                elif time.perf_counter() - start > seconds:
                    killed = f"more than {seconds:g} s"
                if killed:
                    break
                time.sleep(POLL_SECONDS)
        finally:
            process.kill()
            process.wait()
        taken = max(0.0, time.perf_counter() - start)
        lines, errors = (_read(file) for file in (stdout, stderr))
    if not killed and process.returncode:
        raise RunAborted(f"{job.tool}: {errors[-1] if errors else f'exit code {process.returncode}'}")
    layers = [line for line in lines if line in job.spec.layers]
    outcome = None if killed else CONVERTER.loads(lines[-1], SurgeryOutcome)
    return SurgeryRun(job, outcome, killed, layers[-1] if layers else "", taken, largest)


def _resident(process: int) -> int:
    try:
        return int(psutil.Process(process).memory_info().rss)
    except psutil.Error:  # the process has just ended
        return 0


def _read(path: Path) -> list[str]:
    return path.read_text().splitlines()


def main(settings: Settings) -> None:
    at_least(1, repeats=settings.repeats, classes=settings.classes)
    more_than(0, seconds=settings.seconds, gigabytes=settings.gigabytes)
    more_than(0, width=settings.width, narrower=settings.narrower)
    some("0.4 0.6 0.8", shares=settings.shares)
    some("0.25 0.5", narrower=settings.narrower)
    shares(shares=settings.shares)
    if not CLEAR.exists():
        raise ValueError("peak memory is read from /proc/self, which this system has not: take Linux")
    if find_spec("torch_pruning") is None:
        raise ValueError("this needs torch-pruning: pip install torch-pruning")
    path, limit = file_of(settings.out), round(settings.gigabytes * 1e9)
    require_writable(path, "--out")
    for job in jobs(settings):
        require_cuttable(job)
    console, runs = terminal(), list[SurgeryRun]()
    for job in jobs(settings):
        for repeat in range(settings.repeats):
            run = run_limited(job, settings.seconds, limit)
            runs.append(run)
            console.print(f"{_describe(job)} ({repeat + 1}): {_result(run)}")
            if run.killed or run.seconds > settings.seconds / 2:
                break  # a repeat would cost much and add nothing
    machine = {**provenance(torch.device("cpu"), None), "torch-pruning": version("torch-pruning")}
    cost = SurgeryCost(tuple(runs), settings.seconds, limit, machine)
    write_text(path, json_file.to_json(cost))
    console.print(as_markdown(table(cost)))
    console.print(f"Written to {path}")


def _describe(job: SurgeryJob) -> str:
    last = "cut" if job.last else "kept"
    return f"{job.tool}, {job.share:.0%} of {job.spec.channels:,} channels, last layer {last}"


def _result(run: SurgeryRun) -> str:
    if run.outcome is None:
        return f"killed: {run.killed}"
    return f"{run.outcome.seconds:.3f} s, {run.outcome.peak_bytes / 1e6:,.0f} MB"


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written")
