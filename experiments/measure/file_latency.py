"""CPU time of the networks of equal_cost and compress, as the files that are deployed.

    python -m experiments.measure.file_latency --results results

exports every network of these records with fresh weights of its widths to an ONNX file in int8, some seconds each, and
then times all in turn in ONNX Runtime on one core, which should be idle: a minute or two. It writes
<results>/cpu_time/files.json, from which `python -m thesis_figures` takes the milliseconds that these networks need.
Run it again when there are new records: times of two machines are not mixed, so all are taken anew."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from bcnn_prune.command_line.check import at_least, one_of, thread_counts
from bcnn_prune.deployment.layer_profile import RUNTIMES, write_shape
from bcnn_prune.deployment.packages import require
from bcnn_prune.evaluation.cpu_load import describe_load
from bcnn_prune.evaluation.latency import Pass, passes_in_turn
from bcnn_prune.files import require_writable, write_text
from bcnn_prune.records import file_latency
from bcnn_prune.records.file_latency import FileTime, FileTimes
from bcnn_prune.records.json_file import to_json
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
        none = f"no record of compared or compressed networks in {settings.results}"
        raise ValueError(f"{none}: run experiments.equal_cost or experiments.compress first")
    path, console = file_latency.file_of(settings.results), terminal()
    require_writable(path, "--results")
    with TemporaryDirectory() as folder, progress_reporter(console, "files") as report:
        passes: dict[str, Pass] = {}
        for done, (side, spec) in enumerate(shapes, 1):
            file = Path(folder) / f"{done}.onnx"
            write_shape(file, spec, side, settings.runtime)
            passes[file.stem] = opened(file, settings.threads)
            report("exporting", done, len(shapes))
        latencies = passes_in_turn(passes, settings.threads, rounds=settings.rounds, settling=SETTLING).values()
    files = tuple(FileTime(*shape, latency) for shape, latency in zip(shapes, latencies, strict=True))
    write_text(path, to_json(FileTimes(settings.runtime, files, provenance(torch.device("cpu"), None))))
    console.print(f"{len(files)} files timed, written to {path}; {describe_load(one.load for one in latencies)}.")


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written; the same command times all again")
