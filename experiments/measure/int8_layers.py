"""The layer that loses the most accuracy in int8.

    python -m experiments.measure.int8_layers runs/oneshot/drawn-cars/prune0.4-seed0/model.safetensors

quantises the network for ONNX Runtime once whole and once with each single layer left in fp32, and counts val images:
val chooses, test only reports. Takes a few seconds per layer on the synthetic sets, and ends with the layer to name in
experiments.deploy --keep, if one is worth it: what stays in fp32 is slower."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from rich.table import Table

from bcnn_prune.data.batches import Split
from bcnn_prune.deployment.backends.torch import read_checkpoint, torch_runtime
from bcnn_prune.deployment.compare import compare_logits, labels_of, logits_of
from bcnn_prune.deployment.export import onnx_graph, write_onnx
from bcnn_prune.deployment.fold import folded
from bcnn_prune.deployment.packages import require
from bcnn_prune.deployment.quantise import Calibration, onnx_int8, quantised_layers
from bcnn_prune.deployment.registry import open_onnx
from bcnn_prune.records.deploy import VariantReport
from data_prep.progress import progress_reporter
from data_prep.write import Report
from experiments.run import cli, cpu
from experiments.run.checkpoint import CheckpointSettings, calibration, split_of
from experiments.run.console import terminal

NONE = "none"
"""Nothing is left in fp32."""


@dataclass(frozen=True, kw_only=True)
class Settings(CheckpointSettings):
    """The network, and the file of its images."""


def main(settings: Settings) -> None:
    settings.check()
    require("onnx", "onnxscript", "onnxruntime")
    console, threads = terminal(), settings.threads or torch.get_num_threads()
    _, card = read_checkpoint(settings.checkpoint)
    path, _ = settings.find_images(card, console)
    with progress_reporter(console, "networks") as report:
        reports = dict(kept_one_by_one(settings.checkpoint, calibration(path), split_of(path, "val"), threads, report))
    console.print(table(reports))
    layer = best(reports)
    if reports[layer].test.correct > reports[NONE].test.correct:
        console.print(f"{layer} recovers most: experiments.deploy … --keep {layer}")
    else:
        console.print("No single layer recovers anything on val: leave all in int8.")


def kept_one_by_one(
    checkpoint: Path, batches: Calibration, split: Split, threads: int, report: Report
) -> Iterator[tuple[str, VariantReport]]:
    """Int8 compared with the network itself, with NONE and with each layer alone left in fp32."""
    model, card = read_checkpoint(checkpoint)
    graph, labels = onnx_graph(folded(model), card), labels_of(split)
    original = logits_of(torch_runtime(model, card, threads), split)
    layers: Sequence[str] = (NONE, *quantised_layers(card.spec))
    with TemporaryDirectory(prefix="int8-") as folder:
        for done, layer in enumerate(layers, 1):
            path = Path(folder) / "model.onnx"
            keep = () if layer == NONE else (layer,)
            write_onnx(path, onnx_int8(graph, batches, keep, cpu.has_int8_dot_product()))
            logits = logits_of(open_onnx(path, threads).run, split)
            yield layer, compare_logits(logits, original, labels, path.stat().st_size)
            report("quantising", done, len(layers))


def best(reports: Mapping[str, VariantReport]) -> str:
    """The layer with the most images right; among equals the one whose logits stay nearest."""
    return max(reports, key=lambda layer: (reports[layer].test.correct, -reports[layer].largest_difference))


def table(reports: Mapping[str, VariantReport]) -> Table:
    """A row a layer."""
    shown = Table(title="int8 of ONNX Runtime, on val images")
    shown.add_column("in fp32")
    for column in ("val accuracy", "correct", "names the original's class", "largest difference of a logit"):
        shown.add_column(column, justify="right")
    for layer, variant in reports.items():
        shown.add_row(
            layer,
            f"{variant.test.accuracy:.4f}",
            f"{variant.test.correct}/{variant.test.images}",
            f"{variant.agreement:.4f}",
            f"{variant.largest_difference:.1e}",
        )
    return shown


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written")
