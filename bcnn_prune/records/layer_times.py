"""Milliseconds of a network's layers in a runtime, by width: values, and the JSON files of them.

Knows no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bcnn_prune.records import Latency, json_file
from bcnn_prune.spec import ModelSpec

VERSION = 1


@dataclass(frozen=True)
class LayerTimes:
    """T(layer, width of the layer before, own width), measured on a grid of widths.

    A layer's time is that of all operations from its own on to the next layer's; the head and the classifier count to
    the last layer."""

    spec: ModelSpec
    """The unpruned network."""
    side: int
    """Pixels."""
    runtime: str
    """A name in VARIANTS."""
    threads: int
    widths: Mapping[str, tuple[int, ...]]
    """Own widths that were measured, by layer, ascending."""
    ms: Mapping[str, tuple[tuple[float, ...], ...]]
    """Milliseconds at batch 1 by layer: a row for each width of the layer before, of which the first layer has one."""
    provenance: Mapping[str, str]


@dataclass(frozen=True)
class Prediction:
    """A network whose time was predicted from a table, and measured."""

    widths: tuple[int, ...]
    predicted_ms: float
    latency: Latency
    """Of the exported file."""

    @property
    def error(self) -> float:
        """Relative: above 0 where the prediction is too long."""
        return self.predicted_ms / self.latency.median_ms - 1


@dataclass(frozen=True)
class Predictions:
    """Networks with widths at random, all timed in turn."""

    times: LayerTimes
    networks: tuple[Prediction, ...]


def read_layer_times(path: Path) -> LayerTimes:
    """The table in a file. Raises ValueError that names the file."""
    return json_file.read(path, LayerTimes, "table of layer times", VERSION)
