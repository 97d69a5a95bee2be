"""The cost of a chain of layers as a sum of terms: T(l, width of the layer before, width of l), tabulated.

Multiply-adds, parameters and the times of single layers are such sums. The head's cost is part of the last layer's
term: the classifier of a bilinear head reads the square of the last width, and a matrix root is cubic in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Widths = NDArray[np.int64]
Costs = NDArray[np.float64]
NetworkCost = Callable[[tuple[int, ...]], float]
"""From the widths of all layers, in order, to the cost of the network."""

MOST_CHOICES = 128
"""Widths considered in a layer: all of them up to this many, beyond it every second, third … one."""


@dataclass(frozen=True)
class ChainCost:
    """The terms of a network's cost for a choice of widths in every layer."""

    widths: Mapping[str, Widths]
    """Widths to choose from, by layer, ascending."""
    terms: tuple[Costs, ...]
    """One table per layer, (choices of the layer before, own choices); the first has one row."""

    def total(self, choice: Sequence[int]) -> float:
        """Cost of the network whose layers have these of their `widths`, by position."""
        before = (0, *choice[:-1])
        return float(sum(term[i, j] for term, i, j in zip(self.terms, before, choice, strict=True)))


def width_choices(
    widths: Mapping[str, int], fewest: Mapping[str, int], multiple: int | Mapping[str, int] = 1
) -> dict[str, Widths]:
    """Multiples of `multiple`, one number or one by layer, from `fewest` channels up to all of each layer, and all; at
    most some MOST_CHOICES."""
    choices = {}
    for layer, width in widths.items():
        grain = multiple if isinstance(multiple, int) else multiple[layer]
        step = grain * -(-(width - fewest[layer]) // (grain * MOST_CHOICES)) or grain
        start = -(-fewest[layer] // grain) * grain
        choices[layer] = np.append(np.arange(start, width, step), width)
    return choices


def tabulated(cost: NetworkCost, choices: Mapping[str, Widths]) -> ChainCost:
    """The terms of `cost`, which must be a sum over neighbouring layers that is at most cubic in each width.

    Each term is interpolated from four widths per layer, exactly for such a cost. Terms are differences to the
    smallest network, whose own cost is part of the first."""
    layers = list(choices)
    smallest = [int(choices[layer][0]) for layer in layers]

    def at(**widths: int) -> float:
        return float(cost(tuple(widths.get(layer, least) for layer, least in zip(layers, smallest, strict=True))))

    nodes = {
        layer: np.unique(values[np.linspace(0, len(values) - 1, 4).round().astype(np.int64)])
        for layer, values in choices.items()
    }
    bases = {layer: _lagrange(nodes[layer], values) for layer, values in choices.items()}
    first = np.array([[at(**{layers[0]: int(own)}) for own in nodes[layers[0]]]])
    terms = [first @ bases[layers[0]].T]
    for before, layer in pairwise(layers):
        known = [
            [at(**{before: int(a), layer: int(b)}) - at(**{before: int(a)}) for b in nodes[layer]]
            for a in nodes[before]
        ]
        terms.append(bases[before] @ np.array(known) @ bases[layer].T)
    return ChainCost(choices, tuple(terms))


def _lagrange(nodes: Widths, points: Widths) -> Costs:
    """Weights (points, nodes) that interpolate values at `nodes` by the polynomial through them."""
    weights = np.ones((len(points), len(nodes)))
    for i, node in enumerate(nodes):
        for other in np.delete(nodes, i):
            weights[:, i] *= (points - other) / (node - other)
    return weights
