"""Small networks and what Hypothesis draws around them."""

from typing import Any

import torch
from hypothesis import strategies as st

from bcnn_prune.model.init import fresh
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.spec import ModelSpec

TINY = ModelSpec(11, (3, 4, 5, 4, 6, 5, 4, 5), classes=3)
SIDE = 16  # px: the smallest that four max-pools leave something of
FP32_ROUNDING = 1e-4
"""Tolerance of two fp32 computations of the same logits, relative to the largest: on any processor, in any order.

A sum of n products errs by n·2⁻²⁴ of its terms' sum; eight layers with n up to 108 add up to 5e-5. Measured: 1e-6."""


def plans(spec: ModelSpec) -> st.SearchStrategy[ChannelPlan]:
    """Any plan for `spec`: of each layer a non-empty set of channels."""
    layers = {
        layer: st.sets(st.integers(0, width - 1), min_size=1).map(lambda kept: tuple(sorted(kept)))
        for layer, width in spec.width_of.items()
    }
    return _in_order(layers).map(ChannelPlan)


def scores(spec: ModelSpec) -> st.SearchStrategy[dict[str, torch.Tensor]]:
    """Scores with many ties, as exact zeros make them."""
    values = st.sampled_from([0.0, 0.0, 0.125, 0.5, 1.0, 3.0])
    layers = {
        layer: st.lists(values, min_size=width, max_size=width).map(torch.tensor)
        for layer, width in spec.width_of.items()
    }
    return _in_order(layers)


def _in_order(strategies: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """As st.fixed_dictionaries, which shuffles the keys: the layers of a network have an order."""
    return st.tuples(*strategies.values()).map(lambda values: dict(zip(strategies, values, strict=True)))


def random_model(spec: ModelSpec, seed: int = 0) -> BilinearCNN:
    """A network in float64 with nothing left at a round value: biases, BN shifts and statistics are drawn too."""
    generator = torch.Generator().manual_seed(seed)
    model = fresh(spec, generator).double().eval()
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        noise = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
        tensor.copy_(0.5 + noise if name.endswith("running_var") else tensor + noise - 0.3)
    return model


def random_images(count: int = 2, side: int = SIDE, seed: int = 1) -> torch.Tensor:
    """Normalised images in float64."""
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def assert_same_network(first: BilinearCNN, second: BilinearCNN) -> None:
    assert first.spec == second.spec
    for (name, a), (_, b) in zip(first.state_dict().items(), second.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
