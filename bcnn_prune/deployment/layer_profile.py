"""Time the layers of a network in ONNX Runtime, as a deployed file of its shape takes it."""

import math
import timeit
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from bcnn_prune.deployment.backends.onnx import profile_onnx
from bcnn_prune.deployment.export import onnx_graph, write_onnx
from bcnn_prune.deployment.fold import folded
from bcnn_prune.deployment.packages import require
from bcnn_prune.deployment.quantise import onnx_int8, quantised_layers
from bcnn_prune.deployment.registry import VARIANTS, open_onnx
from bcnn_prune.deployment.runtime import Pixels
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.init import fresh
from bcnn_prune.spec import ModelSpec

if TYPE_CHECKING:
    import onnx

RUNTIMES = tuple(name for name, variant in VARIANTS.items() if variant.open is open_onnx)
"""The variants whose layers can be timed: ONNX Runtime, fp32 and int8."""
PASSES, SECONDS = 30, 0.5
"""A file is passed at least so often, and for at least so long: other work that slows down a network of a millisecond
lasts for tens of them."""
CALIBRATION = 8  # images: ranges of random pixels through random weights need no more
STARTS = ("Conv", "Gemm")
"""Parts of the names of the operations that a layer with weights begins with."""


def random_pixels(side: int, batch: int) -> Pixels:
    """The same with every call."""
    return np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)


def write_shape(path: Path, spec: ModelSpec, side: int, runtime: str) -> None:
    """Write a file of this shape, with fresh weights: time depends on neither weights nor images."""
    require("onnx", "onnxscript", "onnxruntime")
    card = ModelCard(spec, tuple(f"class {i}" for i in range(spec.classes)), "random pixels", side)
    write_graph(path, onnx_graph(folded(fresh(spec, torch.Generator().manual_seed(0)).eval()), card), side, runtime)


def write_graph(path: Path, graph: "onnx.ModelProto", side: int, runtime: str) -> None:
    """Write the graph of any network for images of `side` pixels; for int8 it is quantised on random ones."""
    write_onnx(path, onnx_int8(graph, [random_pixels(side, CALIBRATION)]) if "int8" in runtime else graph)


def layer_milliseconds(path: Path, threads: int, passes: int = PASSES, seconds: float = SECONDS) -> dict[str, float]:
    """Milliseconds of each layer of an .onnx file at batch 1, the head and the classifier in the last layer's.

    Their sum is the time of the fastest pass without profiling, their shares are those of the fastest operations with
    it."""
    opened = open_onnx(path, threads)
    spec, batch = opened.card.spec, random_pixels(opened.card.side, 1)
    timer = timeit.Timer(lambda: opened.run(batch))
    passes = max(passes, math.ceil(seconds / min(timer.repeat(3, 1))))
    whole = 1e3 * min(timer.repeat(passes, 1))
    operations, owners = profile_onnx(path, threads, batch, passes), _owners(spec)
    starts = np.cumsum([any(word in operation.kind for word in STARTS) for operation in operations])
    if starts[-1] != len(owners):
        raise RuntimeError(f"ONNX Runtime computes {starts[-1]} convolutions and dense layers, not {len(owners)}")
    ms = dict.fromkeys(spec.layers, 0.0)
    for operation, number in zip(operations, starts, strict=True):
        ms[owners[max(number - 1, 0)]] += operation.ms
    return {layer: taken * whole / sum(ms.values()) for layer, taken in ms.items()}


def _owners(spec: ModelSpec) -> list[str]:
    """The prunable layer that each layer with weights counts to, in order: a depthwise one to that which makes its
    channels, the classifier to the last."""
    makers = {step.name: step.y.maker for step in spec.steps(folded=True)}
    return [makers[name] if makers[name] in spec.width_of else spec.layers[-1] for name in quantised_layers(spec)]
