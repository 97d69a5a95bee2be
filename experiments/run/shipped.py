"""The file that a run with a budget of milliseconds ends with: exported, counted on test images and timed."""

from pathlib import Path

import torch

from bcnn_prune.data.batches import Split
from bcnn_prune.deployment.compare import labels_of, logits_of
from bcnn_prune.deployment.export import onnx_graph, write_onnx
from bcnn_prune.deployment.fold import folded
from bcnn_prune.deployment.quantise import onnx_int8
from bcnn_prune.deployment.registry import VARIANTS, open_any
from bcnn_prune.evaluation.cpu_load import describe_load
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.records import Evaluation, Latency
from experiments.run import cpu
from experiments.run.checkpoint import calibration_of
from experiments.run.clock import latencies


def file_name(runtime: str) -> str:
    """Of the file in the run's folder."""
    file = VARIANTS[runtime].file
    assert file is not None
    return file


def write(path: Path, model: BilinearCNN, card: ModelCard, val: Split, test: Split) -> tuple[Evaluation, Latency]:
    """Write `model` to `path`, in int8, calibrated on `val`, if its name says so.

    Returns the file's counts of `test`, and its time at batch 1."""
    graph = onnx_graph(folded(model).cpu(), card)
    if "int8" in path.stem:
        graph = onnx_int8(graph, calibration_of(val), vnni=cpu.has_int8_dot_product())
    write_onnx(path, graph)
    threads = torch.get_num_threads()
    classes = logits_of(open_any(path, threads).run, test).argmax(1)
    counted = Evaluation(len(test), int((classes == labels_of(test)).sum()))
    return counted, latencies({path.name: path}, threads)[path.name]


def in_words(name: str, asked: float, counted: Evaluation, latency: Latency) -> str:
    """The file beside what was asked of it, in a line."""
    return (
        f"{name}: {latency.median_ms:.2f} ms [{latency.lower_quartile_ms:.2f}-{latency.upper_quartile_ms:.2f}] of "
        f"{asked:g} asked for, batch 1, {latency.threads} threads; test accuracy {counted.accuracy:.4f} "
        f"({counted.correct}/{counted.images}); {describe_load([latency.load])}"
    )
