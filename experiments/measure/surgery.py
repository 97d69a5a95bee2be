"""Time and memory of surgery, beside Torch-Pruning.

    python -m experiments.measure.surgery --out results/surgery

takes four minutes on two idle cores and up to 13 GB, and writes surgery.json and the same as tables, surgery.md. A plan
of channels drawn by lot is carried out on the VGG-16 BCNN with 200 classes and fresh weights, each time in a process of
its own: by `rebuild`, and by Torch-Pruning, with the last layer left alone and with it cut too, from narrow networks
up to the whole one. Seconds are those of the surgery, memory the most above what was resident before it; the logits of
the result are held against those of the network with the same channels silenced. A process that takes more than
--seconds or more than --gigabytes in all is killed and told of as that.

Needs Linux, and torch-pruning: pip install --editable '.[comparisons]'."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil
import torch

from bcnn_prune.command_line.check import at_least, more_than, shares
from bcnn_prune.command_line.parse import Share
from bcnn_prune.files import json_text, require_writable, write_text
from bcnn_prune.spec import ModelSpec
from experiments.measure.surgery_worker import CLEAR, JSON, READY, Outcome, SurgeryJob
from experiments.run import cli
from experiments.run.console import terminal
from experiments.run.provenance import provenance
from thesis_figures.tables.formats import as_markdown
from thesis_figures.tables.table import Column, Row, Table

DEPTH = 16
OFTEN = 0.02
"""Seconds between two looks at a process."""


@dataclass(frozen=True)
class Settings:
    shares: tuple[Share, ...] = (0.4, 0.6, 0.8)
    """Of all channels, to be cut."""
    classes: int = 200
    width: float = 1.0
    """Of the network that both tools cut at all shares, as a multiple of VGG-16's."""
    narrower: tuple[float, ...] = (1 / 128, 1 / 64, 1 / 8, 1 / 4, 1 / 2)
    """Widths at which Torch-Pruning cuts the first of the shares, last layer and all, before it is given the whole."""
    repeats: int = 5
    """Processes of each surgery that ends."""
    seconds: float = 20.0
    """After which a process is killed, from the beginning of its surgery on."""
    gigabytes: float = 12.0
    """Resident, of 10⁹ bytes, at which a process is killed."""
    out: Path = Path("runs/surgery")
    """Where the record and the tables are written."""


@dataclass(frozen=True)
class SurgeryRun:
    """One process."""

    job: SurgeryJob
    outcome: Outcome | None
    """None where it did not come to an end."""
    killed: str
    """Why it was: empty where it ended by itself."""
    reached: str
    """The last layer that Torch-Pruning began to cut."""
    seconds: float
    """From the beginning of the surgery to the end of the process."""
    largest_bytes: int
    """Resident, of the whole process."""


@dataclass(frozen=True)
class SurgeryCost:
    """All runs in their order."""

    runs: tuple[SurgeryRun, ...]
    limit_seconds: float
    limit_bytes: int
    provenance: Mapping[str, str]


def jobs(settings: Settings) -> Iterator[SurgeryJob]:
    """Each once: ours, Torch-Pruning without the last layer, and with it, the narrowest first."""
    spec = ModelSpec.vgg(DEPTH, settings.classes, settings.width)
    for share in settings.shares:
        yield SurgeryJob("rebuild", spec, share)
    for share in settings.shares:
        yield SurgeryJob("rebuild", spec, share, last=False)
        yield SurgeryJob("torch-pruning", spec, share, last=False)
    for width in (*settings.narrower, settings.width):
        yield SurgeryJob("torch-pruning", ModelSpec.vgg(DEPTH, settings.classes, width), settings.shares[0])


def run(job: SurgeryJob, seconds: float, limit_bytes: int) -> SurgeryRun:
    """Start the process and watch it. Raises RuntimeError with its last words where it fails by itself."""
    command = [sys.executable, "-m", "experiments.measure.surgery_worker", JSON.dumps(job)]
    with tempfile.TemporaryDirectory() as folder:
        said, wrong = Path(folder) / "out", Path(folder) / "err"
        start, largest, killed = float("inf"), 0, ""
        with said.open("w") as out, wrong.open("w") as err:
            process = subprocess.Popen(command, stdout=out, stderr=err)
        try:
            while process.poll() is None:
                largest = max(largest, _resident(process.pid))
                start = min(start, time.perf_counter()) if READY in _read(said) else start
                if largest > limit_bytes:
                    killed = f"more than {limit_bytes / 1e9:g} GB"
                elif time.perf_counter() - start > seconds:
                    killed = f"more than {seconds:g} s"
                if killed:
                    break
                time.sleep(OFTEN)
        finally:
            process.kill()
            process.wait()
        taken = max(0.0, time.perf_counter() - start)
        lines, errors = (_read(file) for file in (said, wrong))
    if not killed and process.returncode:
        raise RuntimeError(f"{job.tool}: {errors[-1] if errors else f'left with {process.returncode}'}")
    layers = [line for line in lines if line in job.spec.layers]
    outcome = None if killed else JSON.loads(lines[-1], Outcome)
    return SurgeryRun(job, outcome, killed, layers[-1] if layers else "", taken, largest)


def _resident(process: int) -> int:
    try:
        return int(psutil.Process(process).memory_info().rss)
    except psutil.Error:  # it has just ended
        return 0


def _read(path: Path) -> list[str]:
    return path.read_text().splitlines()


def tables(found: SurgeryCost) -> list[Table]:
    """A row a surgery, its repeats together."""
    groups: dict[SurgeryJob, list[SurgeryRun]] = {}
    for one in found.runs:
        groups.setdefault(one.job, []).append(one)
    whole = max(job.spec.channels for job in groups)
    columns = (
        *(Column("tool", "tool"), Column("width", "width", ".3g"), Column("last_width", "C", "d")),
        *(Column("share", "cut", ".0%"), Column("channels", "channels cut", ",d"), Column("last", "last layer")),
        *(Column("seconds", "seconds", ".3f"), Column("seconds_spread", "from – to"), Column("n", "n", "d")),
        *(Column("megabytes", "MB above the model", ",.0f"), Column("megabytes_spread", "from – to")),
        *(Column("columns", "classifier columns to go", ",d"), Column("named", "named", ",d")),
        *(Column("difference", "logits from silenced", ".0e"), Column("end", "how it ended")),
    )
    rows = tuple(_row(job, runs, whole) for job, runs in groups.items())
    title = "Surgery of a VGG-16 BCNN: medians of processes, with the smallest and largest"
    return [Table("surgery", title, columns, rows)]


def _row(job: SurgeryJob, runs: Sequence[SurgeryRun], whole: int) -> Row:
    row: Row = {
        "tool": job.tool,
        "width": job.spec.channels / whole,
        "last_width": job.spec.widths[-1],
        "share": job.share,
        "last": "cut" if job.last else "kept",
        "n": len(runs),
    }
    outcomes = [one.outcome for one in runs if one.outcome is not None]
    if not outcomes:
        one = runs[0]
        seen = f"killed at {one.reached or 'the start'}: {one.killed}; {one.largest_bytes / 1e9:.2f} GB in all"
        return {**row, "end": seen}
    seconds, megabytes = [one.seconds for one in outcomes], [one.peak_bytes / 1e6 for one in outcomes]
    first = outcomes[0]
    return {
        **row,
        "channels": first.channels,
        "seconds": statistics.median(seconds),
        "seconds_spread": f"{min(seconds):.3f} – {max(seconds):.3f}",
        "megabytes": statistics.median(megabytes),
        "megabytes_spread": f"{min(megabytes):,.0f} – {max(megabytes):,.0f}",
        "columns": first.columns_to_go,
        "named": first.columns_named,
        "difference": first.difference,
        "end": first.failure or "works",
    }


def main(settings: Settings) -> None:
    at_least(1, repeats=settings.repeats, classes=settings.classes)
    more_than(0, seconds=settings.seconds, gigabytes=settings.gigabytes)
    more_than(0, width=settings.width, narrower=settings.narrower)
    if not settings.shares:
        raise ValueError("--shares names none: take 0.4 0.6 0.8, or others")
    shares(shares=settings.shares)
    if not CLEAR.exists():
        raise ValueError("peak memory is read from /proc/self, which this system has not: take Linux")
    if find_spec("torch_pruning") is None:
        raise ValueError("this needs torch-pruning: pip install torch-pruning")
    require_writable(settings.out / "surgery.json", "--out")
    console, runs = terminal(), list[SurgeryRun]()
    limit = round(settings.gigabytes * 1e9)
    for job in jobs(settings):
        for turn in range(settings.repeats):
            runs.append(run(job, settings.seconds, limit))
            one, outcome = runs[-1], runs[-1].outcome
            what = (
                f"{job.tool}, {job.share:.0%} of {job.spec.channels:,} channels, last {'cut' if job.last else 'kept'}"
            )
            told = (
                f"{outcome.seconds:.3f} s, {outcome.peak_bytes / 1e6:,.0f} MB" if outcome else f"killed: {one.killed}"
            )
            console.print(f"{what} ({turn + 1}): {told}")
            if one.killed or one.seconds > settings.seconds / 2:
                break  # again would tell nothing new
    packages = {"torch-pruning": version("torch-pruning")}
    machine = {**provenance(torch.device("cpu"), None), **packages}
    found = SurgeryCost(tuple(runs), settings.seconds, limit, machine)
    text = "\n".join(map(as_markdown, tables(found)))
    write_text(settings.out / "surgery.json", json_text(JSON.unstructure(found)))
    write_text(settings.out / "surgery.md", text)
    console.print(text)
    console.print(f"Written to {settings.out / 'surgery.json'} and surgery.md")


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written")
