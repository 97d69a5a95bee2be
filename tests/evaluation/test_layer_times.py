"""The table of layer times: exact for times that are linear in each width, monotone for any, and a sum of terms."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcnn_prune.evaluation.layer_times import grains, measure, predicted, terms
from bcnn_prune.records.layer_times import LayerTimes
from bcnn_prune.spec import ModelSpec
from tests.helpers.strategies import small_network

SPECS = [
    ModelSpec.of("vgg11", 5, 0.25),
    ModelSpec.of("mobilenet", 5, 0.5),
    small_network("small-cnn-grouped", "average"),
]
FASTEST = {"vgg11": 5 * 5 + 1}


def bilinear(spec: ModelSpec) -> dict[str, float]:
    """Milliseconds that are linear in the width before a layer, and in its own."""
    befores = (spec.image_channels, *spec.widths)
    return {
        layer: 0.01 * (i + 1) + 1e-3 * before + 2e-3 * own + 1e-4 * before * own
        for i, (layer, before, own) in enumerate(zip(spec.layers, befores, spec.widths, strict=False))
    }


@cache
def table(spec: ModelSpec, noise: float = 0.0, seed: int = 0) -> LayerTimes:
    rng = np.random.default_rng(seed)

    def profile(narrow: ModelSpec) -> dict[str, float]:
        return {layer: ms * (1 + noise * rng.random()) for layer, ms in bilinear(narrow).items()}

    return LayerTimes(spec, 32, "onnx-int8", 1, *measure(spec, profile), {})


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.backbone)
@given(data=st.data())
@settings(max_examples=20)
def test_times_that_are_linear_in_each_width_are_told_exactly(spec: ModelSpec, data: st.DataObject) -> None:
    times, steps = table(spec), spec.blocks
    widths = tuple(
        data.draw(st.integers(times.widths[at][0] // steps.get(at, 1), width // steps.get(at, 1))) * steps.get(at, 1)
        for at, width in spec.width_of.items()
    )
    narrow = replace(spec, widths=widths)
    assert predicted(times, narrow) == pytest.approx(sum(bilinear(narrow).values()))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.backbone)
def test_the_grid_holds_widths_that_a_network_may_have(spec: ModelSpec) -> None:
    times = table(spec)
    for layer, width in spec.width_of.items():
        found = times.widths[layer]
        assert found[-1] == width
        assert all(own % grains(spec)[layer] == 0 for own in found[:-1])
        assert width % spec.blocks.get(layer, 1) == 0


@given(st.integers(0, 4), st.lists(st.integers(1, 128), min_size=8, max_size=8), st.integers(0, 7))
@settings(max_examples=20)
def test_whatever_the_noise_a_wider_layer_is_never_told_faster(seed: int, drawn: list[int], wider: int) -> None:
    spec = SPECS[0]
    widths = [min(width, most) for width, most in zip(drawn, spec.widths, strict=True)]
    more = [
        min(width + 9 * (i == wider), most) for i, (width, most) in enumerate(zip(widths, spec.widths, strict=True))
    ]
    times = table(spec, noise=2.0, seed=seed)
    small, large = (predicted(times, replace(spec, widths=tuple(given))) for given in (widths, more))
    assert small <= large + 1e-12


def test_terms_add_up_to_the_prediction() -> None:
    spec, rng = SPECS[0], np.random.default_rng(0)
    times = table(spec, noise=0.5)
    choices = {layer: np.arange(3, width + 1) for layer, width in spec.width_of.items()}
    tables = terms(times, choices)
    assert [term.shape for term in tables[1:]] == [(len(a), len(b)) for a, b in pairwise(choices.values())]
    for _ in range(5):
        picked = [int(rng.integers(len(widths))) for widths in choices.values()]
        widths = tuple(int(given[i]) for given, i in zip(choices.values(), picked, strict=True))
        total = sum(term[i, j] for term, i, j in zip(tables, (0, *picked), picked, strict=False))
        assert total == pytest.approx(predicted(times, replace(spec, widths=widths)))
