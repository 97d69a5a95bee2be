"""Milliseconds of the files that networks of one backbone are deployed as: predicted from a table, and measured."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import torch

from bcnn_prune.deployment.layer_profile import layer_milliseconds, random_pixels, write_shape
from bcnn_prune.deployment.packages import require
from bcnn_prune.deployment.registry import open_any
from bcnn_prune.evaluation import layer_times
from bcnn_prune.evaluation.isolated_latency import timed_apart
from bcnn_prune.evaluation.latency import Pass
from bcnn_prune.files import folder_lock, write_text
from bcnn_prune.records import Latency
from bcnn_prune.records.json_file import to_json
from bcnn_prune.records.layer_times import VERSION, LayerTimes, read_layer_times
from bcnn_prune.spec import ModelSpec
from data_prep.progress import progress_reporter
from experiments.run import cpu
from experiments.run.console import terminal
from experiments.run.provenance import provenance

T = TypeVar("T")


@dataclass(frozen=True)
class Clock:
    """Times networks that are cut from `whole`, at batch 1 on the threads that torch has."""

    whole: ModelSpec
    side: int
    """Pixels."""
    runtime: str
    """A name in RUNTIMES."""
    folder: Path
    """Where tables are kept, by processor and runtime."""

    def predicted(self, spec: ModelSpec) -> float:
        """Milliseconds by the table, which is measured where there is none."""
        return layer_times.predicted(self.times(), spec)

    def measured(self, spec: ModelSpec) -> float:
        """Median milliseconds of an exported file of this shape."""
        return _measured(self, spec, torch.get_num_threads())

    def share(self, spec: ModelSpec) -> float:
        """Median time of an exported file of this shape as a share of that of `whole`, the two passed in turn: other
        work on the machine, which comes and goes, slows both."""
        return _share(self, spec, torch.get_num_threads())

    def times(self) -> LayerTimes:
        """The table, measured once for this processor, runtime, number of threads, network and side."""
        require("onnx", "onnxscript", "onnxruntime")
        return _times(self, torch.get_num_threads())


def latencies(paths: Mapping[str, Path], threads: int, rounds: int = 30) -> dict[str, Latency]:
    """Of deployed files, by name, at batch 1, timed in turn."""
    return timed_apart({name: partial(opened, path, threads) for name, path in paths.items()}, 1, threads, rounds)


def opened(path: Path, threads: int) -> Pass:
    """A deployed file, to pass random pixels at batch 1."""
    model = open_any(path, threads)
    return partial(model.run, random_pixels(model.card.side, 1))


@cache
def _times(clock: Clock, threads: int) -> LayerTimes:
    machine = (cpu.name(), *cpu.instructions(), version("onnxruntime"), str(threads))
    shape = repr((VERSION, machine, clock.whole, clock.side, layer_times.SHARES))
    path = clock.folder / f"{clock.runtime}-{hashlib.sha256(shape.encode()).hexdigest()[:16]}.json"
    console = terminal()
    with folder_lock(clock.folder, lambda: console.print(f"Waiting for another process that times in {clock.folder}.")):
        if path.exists():
            return read_layer_times(path)
        console.print(f"Timing the layers of {clock.whole.title} in {clock.runtime}, once for this machine")
        with progress_reporter(console, "networks") as report:
            widths, ms = layer_times.measure(
                clock.whole,
                lambda spec: _with_file(clock, spec, lambda path: layer_milliseconds(path, threads)),
                partial(report, "timing layers"),
            )
        machine_now = {**provenance(torch.device("cpu"), None), "onnxruntime": version("onnxruntime")}
        times = LayerTimes(clock.whole, clock.side, clock.runtime, threads, widths, ms, machine_now)
        write_text(path, to_json(times, VERSION))
    return times


@cache
def _measured(clock: Clock, spec: ModelSpec, threads: int) -> float:
    return _with_file(clock, spec, lambda path: latencies({"file": path}, threads)["file"].median_ms)


@cache
def _share(clock: Clock, spec: ModelSpec, threads: int) -> float:
    def timed(cut: Path) -> float:
        whole = cut.with_stem("whole")
        whole.write_bytes(_file_of_whole(clock))
        found = latencies({"whole": whole, "cut": cut}, threads)
        return found["cut"].median_ms / found["whole"].median_ms

    return _with_file(clock, spec, timed)


@cache
def _file_of_whole(clock: Clock) -> bytes:
    return _with_file(clock, clock.whole, Path.read_bytes)


def _with_file(clock: Clock, spec: ModelSpec, use: Callable[[Path], T]) -> T:
    """What `use` makes of a file of this shape, which is gone afterwards."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_shape(path, spec, clock.side, clock.runtime)
        return use(path)
