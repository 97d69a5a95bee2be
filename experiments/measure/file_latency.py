"""CPU time of compared, compressed and small networks, as the files that are deployed.

    python -m experiments.measure.file_latency --results results

exports every network of the records of equal_cost, compress, exercises and timm_networks, with fresh weights of its
widths, to an ONNX file in int8, some seconds each, and then times all in turn in ONNX Runtime on one core, which should
be idle: some minutes. It writes <results>/cpu_time/files.json, from which `python -m thesis_figures` takes the
milliseconds that these networks need.
Run it again when there are new records: times of two machines are not mixed, so all are taken anew."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from bcnn_prune.command_line.check import at_least, one_of, thread_counts
from bcnn_prune.deployment.backends.onnx import open_foreign_onnx
from bcnn_prune.deployment.export import exported
from bcnn_prune.deployment.layer_profile import RUNTIMES, random_pixels, write_graph, write_shape
from bcnn_prune.deployment.packages import require
from bcnn_prune.deployment.pixels import FromPixels
from bcnn_prune.evaluation.cpu_load import describe_load
from bcnn_prune.evaluation.latency import Pass, passes_in_turn
from bcnn_prune.files import require_writable, write_text
from bcnn_prune.model.timm_network import TimmNetwork
from bcnn_prune.records import file_latency, timm_network
from bcnn_prune.records.file_latency import FileTime, FileTimes, TimmFileTime
from bcnn_prune.records.json_file import to_json
from bcnn_prune.spec import ModelSpec
from data_prep.progress import progress_reporter
from experiments.run import cli
from experiments.run.clock import opened
from experiments.run.console import terminal
from experiments.run.provenance import provenance
from thesis_figures.analysis import runs

SETTLING = 10
"""Untimed passes before each timed one."""


@dataclass(frozen=True)
class Settings:
    results: Path = Path("results")
    """The folder of records, where the times are put, too."""
    runtime: str = "onnx-int8"
    """The format that is timed: onnx-int8 or onnx."""
    rounds: int = 50
    """Timed passes of each file."""
    threads: int = 1


def main(settings: Settings) -> None:
    one_of(RUNTIMES, runtime=settings.runtime)
    at_least(1, rounds=settings.rounds)
    thread_counts(threads=settings.threads)
    require("onnx", "onnxscript", "onnxruntime")
    found = (file_latency.shapes(record) for record in runs.read(settings.results).values())
    shapes = sorted(set().union(*found), key=repr)
    if not shapes:
        none = f"no record of networks that were compared, made small or small by design in {settings.results}"
        raise ValueError(f"{none}: run experiments.equal_cost or experiments.compress first")
    found_timm = timm_network.read(settings.results)
    others = sorted({(record.data.side, record.network, record.data.classes) for record in found_timm})
    path, console = file_latency.file_of(settings.results), terminal()
    require_writable(path, "--results")
    with TemporaryDirectory() as folder, progress_reporter(console, "files") as report:
        opens = [partial(ours, *shape, settings) for shape in shapes]
        opens += [partial(of_timm, *network, settings) for network in others]
        passes: dict[str, Pass] = {}
        for done, open_file in enumerate(opens, 1):
            file = Path(folder) / f"{done}.onnx"
            passes[file.stem] = open_file(file)
            report("exporting", done, len(opens))
        latencies = list(passes_in_turn(passes, settings.threads, rounds=settings.rounds, settling=SETTLING).values())
    timed = zip(shapes, latencies[: len(shapes)], strict=True)
    files = tuple(FileTime(*shape, latency) for shape, latency in timed)
    beside = zip(others, latencies[len(shapes) :], strict=True)
    timm = tuple(TimmFileTime(*network, latency) for network, latency in beside)
    write_text(path, to_json(FileTimes(settings.runtime, files, provenance(torch.device("cpu"), None), timm)))
    console.print(f"{len(latencies)} files timed, written to {path}; {describe_load(one.load for one in latencies)}.")


def ours(side: int, spec: ModelSpec, settings: Settings, file: Path) -> Pass:
    """A file of this shape, ready to pass an image."""
    write_shape(file, spec, side, settings.runtime)
    return opened(file, settings.threads)


def of_timm(side: int, name: str, classes: int, settings: Settings, file: Path) -> Pass:
    """The same of a network of timm."""
    graph = exported(FromPixels(TimmNetwork.seeded(name, classes, 0)), side, optimize=True)
    write_graph(file, graph, side, settings.runtime)
    return partial(open_foreign_onnx(file, settings.threads), random_pixels(side, 1))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written; the same command times all again")
