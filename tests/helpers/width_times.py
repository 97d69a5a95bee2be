"""Times of files that follow from the widths of their networks alone, in place of an export and a measurement."""

import pickle
from pathlib import Path

import pytest

from bcnn_prune.records import Latency
from bcnn_prune.spec import ModelSpec
from experiments.run import clock

SLOWER = 1.3
"""Whole files take so many times as long as their layers by the table, as on a machine that got busy meanwhile."""


def layer_times(spec: ModelSpec) -> dict[str, float]:
    """Milliseconds by layer."""
    befores = (spec.image_channels, *spec.widths)
    return {
        layer: 0.01 + 1e-4 * before * own for layer, before, own in zip(spec.layers, befores, spec.widths, strict=False)
    }


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every Clock time by `layer_times`; a file holds nothing but its spec."""

    def write_shape(path: Path, spec: ModelSpec, *_: object) -> None:
        path.write_bytes(pickle.dumps(spec))

    def times_of(path: Path) -> dict[str, float]:
        return layer_times(pickle.loads(path.read_bytes()))

    def latencies(paths: dict[str, Path], *_: object) -> dict[str, Latency]:
        ms = {name: SLOWER * sum(times_of(path).values()) for name, path in paths.items()}
        return {name: Latency(taken, taken, taken, 1, 1, 1, 0.0) for name, taken in ms.items()}

    monkeypatch.setattr(clock, "write_shape", write_shape)
    monkeypatch.setattr(clock, "layer_milliseconds", lambda path, threads: times_of(path))
    monkeypatch.setattr(clock, "latencies", latencies)
