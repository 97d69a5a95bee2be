"""Are milliseconds of networks the sum of their layers? Predicted from a table, and measured.

    python -m experiments.measure.layer_times --dataset cars

times the layers of the set's network in ONNX Runtime on a grid of widths, unless this processor has the table already,
which takes some three minutes. Then it draws networks of random widths, predicts their times, exports and times them in
turn, and prints both. The record has the table, too. Times need a machine that does nothing else."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from rich.table import Table

from bcnn_prune.command_line.check import at_least, one_of
from bcnn_prune.deployment.layer_profile import RUNTIMES, write_shape
from bcnn_prune.deployment.packages import require
from bcnn_prune.evaluation.cpu_load import describe_load
from bcnn_prune.evaluation.layer_times import grains
from bcnn_prune.files import require_writable, write_text
from bcnn_prune.pruning.chain_cost import width_choices
from bcnn_prune.records.json_file import read, to_json
from bcnn_prune.records.layer_times import VERSION, Prediction, Predictions
from bcnn_prune.spec import ModelSpec
from experiments.run import cli
from experiments.run.clock import Clock, latencies
from experiments.run.console import terminal
from experiments.run.datasets import find_dataset
from experiments.run.settings import FlowSettings


@dataclass(frozen=True, kw_only=True)
class Settings(FlowSettings):
    """The network, by the settings of flows, and what is timed."""

    runtime: str = "onnx-int8"
    """The format that is timed: onnx-int8 or onnx."""
    networks: int = 8
    """Networks that are predicted and measured, the unpruned one among them."""
    rounds: int = 30
    """Timed passes of each network."""

    def check(self) -> None:
        super().check()
        one_of(RUNTIMES, runtime=self.runtime)
        at_least(1, networks=self.networks, rounds=self.rounds)


def main(settings: Settings) -> None:
    settings.check()
    require("onnx", "onnxscript", "onnxruntime")
    console = terminal()
    _, info = find_dataset(settings.dataset, settings.data, settings.classes, console)
    path = (settings.results or settings.out) / "layer_times" / f"{info.name}-{settings.runtime}.json"
    require_writable(path, "--out" if settings.results is None else "--results")
    clock = Clock(settings.unpruned(info), info.side, settings.runtime, settings.out / "layer_times")
    if path.exists():
        times = read(path, Predictions, "record of predicted times", VERSION).times
        if (times.spec, times.side, times.threads) != (clock.whole, clock.side, torch.get_num_threads()):
            others = "another network, side or number of threads"
            raise FileExistsError(f"{path} has the times of {others}: move it away, or name another folder")
    found = predictions(clock, settings.networks, settings.rounds)
    write_text(path, to_json(found, VERSION))
    console.print(table(found))
    console.print(f"Written to {path}")


def random_shapes(whole: ModelSpec, count: int) -> list[ModelSpec]:
    """`whole`, and networks whose layers have widths of their own, each drawn evenly from multiples of its grain."""
    rng, steps = np.random.default_rng(0), grains(whole)
    choices = width_choices(whole.width_of, steps, steps).values()
    drawn = (tuple(int(rng.choice(widths)) for widths in choices) for _ in range(count - 1))
    return [whole, *(replace(whole, widths=widths) for widths in drawn)]


def predictions(clock: Clock, count: int, rounds: int) -> Predictions:
    """Time files of random shapes beside what the table says of them."""
    times, threads = clock.times(), torch.get_num_threads()
    with TemporaryDirectory() as folder:
        files = {spec: Path(folder) / f"{i}.onnx" for i, spec in enumerate(random_shapes(clock.whole, count))}
        for spec, path in files.items():
            write_shape(path, spec, clock.side, clock.runtime)
        measured = latencies({path.stem: path for path in files.values()}, threads, rounds)
    return Predictions(
        times,
        tuple(Prediction(spec.widths, clock.predicted(spec), measured[path.stem]) for spec, path in files.items()),
    )


def table(found: Predictions) -> Table:
    """A row for each network."""
    shown = Table(title=f"{found.times.runtime}: ms at batch 1, {found.times.threads} threads")
    for column in ("widths", "predicted", "measured [quartiles]", "error"):
        shown.add_column(column, justify="left" if column == "widths" else "right")
    for network in found.networks:
        ms = network.latency
        shown.add_row(
            " ".join(map(str, network.widths)),
            f"{network.predicted_ms:.3f}",
            f"{ms.median_ms:.3f} [{ms.lower_quartile_ms:.3f}-{ms.upper_quartile_ms:.3f}]",
            f"{network.error:+.1%}",
        )
    errors = np.abs([network.error for network in found.networks])
    load = describe_load(network.latency.load for network in found.networks)
    shown.caption = f"error: median {np.median(errors):.1%}, largest {errors.max():.1%}; {load}"
    return shown


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written but a finished table of layers")
