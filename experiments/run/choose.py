"""The networks of finished runs that meet limits, those of each data set with the best on val first."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice, product
from pathlib import Path

from rich.table import Table

from bcnn_prune.evaluation.cost import file_bytes
from bcnn_prune.files import checksum
from bcnn_prune.records import RECORD, Evaluation, RunKey, RunRecord, file_latency, read_record
from bcnn_prune.records.deploy import ORIGINAL, DeployReport, report_of
from bcnn_prune.records.file_latency import FileTimes

SHOWN = 10
"""Networks of a data set."""
PLACES = (f"*/*/{RECORD}", "*/*.json")
"""Records as a run leaves them, and as --results holds them."""
CHECKPOINT = "model.safetensors"
"""Beside the record of a run."""


@dataclass(frozen=True)
class Candidate:
    """A network of a record as one file."""

    record: RunRecord
    stored: str
    val: Evaluation
    test: Evaluation
    cost: Mapping[str, float]
    """By the name of its limit."""


def candidates(folders: Sequence[Path], dataset: str = "", method: str = "") -> list[Candidate]:
    """The networks of all records of compress below the folders, each once; of one set or method where that is named.

    Raises ValueError where there is no record of it."""
    found: dict[RunKey, tuple[Path, RunRecord]] = {}
    for folder, pattern in product(folders, PLACES):
        for path in sorted((folder / "compress").glob(pattern)):
            record = read_record(path)
            if dataset in ("", record.data.name) and method in ("", record.settings["method"]):
                found.setdefault(record.key, (path, record))
    if not found:
        wanted = " ".join(word for word in (method and f"by {method}", dataset and f"on {dataset}") if word)
        raise ValueError(
            f"there are no records of compress{wanted and f' {wanted}'} yet: run python -m experiments.compress"
            f" --dataset {dataset or 'cars'}"
        )
    times = next(filter(None, map(file_latency.read, folders)), None)
    return [candidate for path, record in found.values() for candidate in _of(record, path, times)]


def _of(record: RunRecord, path: Path, times: FileTimes | None) -> Iterator[Candidate]:
    step = record.steps[-1]
    val = (step.fine_tuning or record.training["gradual"]).kept.val
    eager = record.latency["pruned"].median_ms
    cost = {"max_params": step.cost.params, "max_macs": step.cost.macs, "max_ms": eager}
    yield Candidate(record, "checkpoint", val, step.final, {**cost, "max_bytes": file_bytes(step.spec)})
    for packed in step.packed:
        stored = {**cost, "max_params": packed.nonzero, "max_bytes": packed.file_bytes}
        yield Candidate(record, f"{packed.bits} bits, packed", packed.val, packed.test, stored)
    report = report_of(path)
    if report is None or not report.is_of(record) or _is_older(report, path.parent / CHECKPOINT):
        return
    for name, variant in report.variants.items():
        if name == ORIGINAL:
            continue  # the checkpoint again
        ms = _milliseconds(report, name, times)
        yield Candidate(record, name, val, variant.test, {**cost, "max_bytes": variant.bytes, "max_ms": ms})


def _milliseconds(report: DeployReport, variant: str, times: FileTimes | None) -> float:
    """Of one image: those of a file of its shape, timed beside all others, else its own from when it was deployed;
    infinity where neither is known."""
    if times and variant == times.runtime and (report.side, report.spec) in times.milliseconds:
        return times.milliseconds[report.side, report.spec]
    timing = report.times and report.times.at(variant, batch=1)
    return timing.latency.median_ms if timing else math.inf


def _is_older(report: DeployReport, checkpoint: Path) -> bool:
    """Whether the network was trained anew since it was deployed; of results without checkpoints nothing is known."""
    return checkpoint.is_file() and report.checkpoint != checksum(checkpoint)


def best(found: Sequence[Candidate], limits: Mapping[str, float]) -> list[Candidate]:
    """Those within all limits, by data set, accuracy on val, and bytes. Raises ValueError, with the least of each,
    where there is none."""
    within = [one for one in found if all(one.cost[name] <= limit for name, limit in limits.items())]
    if not within:
        least = ", ".join(f"{name.replace('max_', '')} {min(one.cost[name] for one in found):,.4g}" for name in limits)
        raise ValueError(f"none of {len(found)} networks meets these limits together; the least of each: {least}")
    return sorted(within, key=lambda one: (one.record.data.name, -one.val.accuracy, one.cost["max_bytes"]))


def table(chosen: Sequence[Candidate]) -> Table:
    """A row for each network, at most SHOWN of a data set."""
    shown = Table(
        title="Networks within the limits, by accuracy on val",
        caption="ms: batch 1, on the machine that they were recorded on; checkpoints and packed files in eager PyTorch,"
        " deployed ones as a file of their shape, or as timed when they were deployed. val: as in training, or packed",
    )
    for column in ("data set", "method", "file"):
        shown.add_column(column)
    for column in ("val", "test", "bytes", "parameters", "M multiply-adds", "ms"):
        shown.add_column(column, justify="right")
    sets = groupby(chosen, key=lambda one: one.record.data.name)
    for one in (one for _, of_set in sets for one in islice(of_set, SHOWN)):
        cost, name = one.cost, f"{one.record.settings['method']}, seed {one.record.seed}"
        shown.add_row(
            *(one.record.data.name, name, one.stored, f"{one.val.accuracy:.4f}", f"{one.test.accuracy:.4f}"),
            *(f"{cost['max_bytes']:,.0f}", f"{cost['max_params']:,.0f}", f"{cost['max_macs'] / 1e6:,.1f}"),
            f"{cost['max_ms']:.2f}" if math.isfinite(cost["max_ms"]) else "",
        )
    return shown
