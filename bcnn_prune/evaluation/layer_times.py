"""Times of layers as a function of widths: measured on a grid, interpolated between its points.

HALP (Shen et al. 2022) looks latencies of single layers up in such a table. Here all layers are timed at once, in whole
networks whose layers take two widths in turn: T(layer, a, b) is the layer's time in the network of a and b."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bcnn_prune.records.layer_times import LayerTimes
from bcnn_prune.spec import ModelSpec

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of a layer's width: the points of the grid, before rounding."""
WIDE, GRAIN, FINE_GRAIN = 64, 16, 8
"""Layers of WIDE channels and more are timed in multiples of GRAIN, others of FINE_GRAIN: processors compute so many
channels at once. In ONNX Runtime, int8, on one core of an AMD EPYC with AVX2 that was not idle, a layer of 33
channels took 1.7 times as long as one of 32, and one of 49 1.5 times as long as one of 48."""

Profile = Callable[[ModelSpec], Mapping[str, float]]
"""Milliseconds of each layer of a network of this shape; the head and the classifier count to the last layer."""
Milliseconds = NDArray[np.float64]
Widths = NDArray[np.int64]


def grains(spec: ModelSpec) -> dict[str, int]:
    """The number by layer whose multiples are widths that the runtime computes well, and that a plan may have."""
    return {
        layer: math.lcm(GRAIN if width >= WIDE else FINE_GRAIN, spec.blocks.get(layer, 1))
        for layer, width in spec.width_of.items()
    }


def measure(
    spec: ModelSpec, profile: Profile, report: Callable[[int, int], None] = lambda done, total: None
) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[tuple[float, ...], ...]]]:
    """The `widths` and `ms` of LayerTimes: `profile` of len(SHARES)² networks, narrower than `spec` or as wide.

    Of several measurements of one entry the shortest counts: other work only adds. `report` hears of each network."""
    nodes = _nodes(spec)
    taken: dict[str, dict[tuple[int, int], float]] = defaultdict(lambda: defaultdict(lambda: math.inf))
    for done, turns in enumerate(pairs := list(product(range(len(SHARES)), repeat=2)), 1):
        widths = tuple(nodes[layer][turns[i % 2]] for i, layer in enumerate(spec.layers))
        found = profile(replace(spec, widths=widths))
        for layer, before, own in zip(spec.layers, (spec.image_channels, *widths), widths, strict=False):
            taken[layer][before, own] = min(taken[layer][before, own], found[layer])
        report(done, len(pairs))
    grid = {layer: tuple(sorted(set(values))) for layer, values in nodes.items()}
    befores = ((spec.image_channels,), *grid.values())
    ms = {
        layer: tuple(tuple(taken[layer][before, own] for own in grid[layer]) for before in rows)
        for layer, rows in zip(spec.layers, befores, strict=False)
    }
    return grid, ms


def predicted(times: LayerTimes, spec: ModelSpec) -> float:
    """Milliseconds of a network that is narrower than that of the table, or as wide; never less where one layer is
    wider."""
    widths = (spec.image_channels, *spec.widths)
    tables = _interpolators(times).values()
    return sum(float(at((a, b))[0]) for at, a, b in zip(tables, widths, spec.widths, strict=False))


def terms(times: LayerTimes, choices: Mapping[str, Widths]) -> tuple[Milliseconds, ...]:
    """Milliseconds of each layer for all widths to choose from: (choices of the layer before, own choices)."""
    befores = (np.array([times.spec.image_channels]), *choices.values())
    return tuple(
        at(np.stack(np.meshgrid(before, choices[layer], indexing="ij"), axis=-1))
        for (layer, at), before in zip(_interpolators(times).items(), befores, strict=False)
    )


def _nodes(spec: ModelSpec) -> dict[str, list[int]]:
    """By layer as many widths as there are SHARES, some of them equal in narrow layers."""
    steps = grains(spec)
    return {
        layer: [min(width, steps[layer] * max(1, math.ceil(share * width / steps[layer]))) for share in SHARES]
        for layer, width in spec.width_of.items()
    }


def _interpolators(times: LayerTimes) -> dict[str, Callable[..., Milliseconds]]:
    """T by layer, linear between the points of the grid, and that of the nearest point outside of it."""
    # Here, not at the top: it takes half a second to import.
    from scipy.interpolate import RegularGridInterpolator

    def interpolator(before: tuple[int, ...], own: tuple[int, ...], ms: Milliseconds) -> Callable[..., Milliseconds]:
        inside = RegularGridInterpolator((before, own), _monotone(_monotone(ms).T).T)
        low, high = np.array([(axis[0], axis[-1]) for axis in (before, own)]).T
        return lambda points: inside(np.clip(points, low, high))

    befores = ((times.spec.image_channels,), *times.widths.values())
    return {
        layer: interpolator(before, times.widths[layer], np.array(times.ms[layer]))
        for layer, before in zip(times.widths, befores, strict=False)
    }


def _monotone(ms: Milliseconds) -> Milliseconds:
    """Rows that never fall: the mean of the largest value so far and of the smallest still to come."""
    so_far = np.maximum.accumulate(ms, axis=1)
    to_come = np.minimum.accumulate(ms[:, ::-1], axis=1)[:, ::-1]
    return (so_far + to_come) / 2
