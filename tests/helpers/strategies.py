"""Small networks and what Hypothesis draws around them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from bcnn_prune.backbones import BACKBONES
from bcnn_prune.compression.ranks import takes
from bcnn_prune.forms import FORMS, GROUPS
from bcnn_prune.heads import HEADS
from bcnn_prune.layers import Conv, Linear
from bcnn_prune.model.init import fresh
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.spec import ModelSpec

TINY = ModelSpec("vgg11", (3, 4, 5, 4, 6, 5, 4, 5), classes=3)
SIDE = 16  # px: the smallest that four max-pools leave something of
FP32_ROUNDING = 1e-4
"""Tolerance of two fp32 computations of the same logits, relative to the largest: on any processor, in any order.

A sum of n products errs by n·2⁻²⁴ of its terms' sum; eight layers with n up to 108 add up to 5e-5. Measured: 1e-6."""


def plans(spec: ModelSpec) -> st.SearchStrategy[ChannelPlan]:
    """Any plan for `spec`: of each layer a non-empty set of channels, the same in each block of a grouped one."""
    return _in_order({layer: _kept(width, spec.blocks.get(layer, 1)) for layer, width in spec.width_of.items()}).map(
        ChannelPlan
    )


def _kept(width: int, blocks: int) -> st.SearchStrategy[tuple[int, ...]]:
    size = width // blocks
    places = st.sets(st.integers(0, size - 1), min_size=1).map(sorted)
    return places.map(lambda block: tuple(i * size + place for i in range(blocks) for place in block))


def plain_networks() -> st.SearchStrategy[ModelSpec]:
    """Every backbone, a few channels wide, under every head, with BatchNorm and without, for images of 32 px (AlexNet's
    of 64)."""
    return st.builds(
        small_network, st.sampled_from(list(BACKBONES)), st.sampled_from(list(HEADS)), st.booleans(), st.integers(0, 2)
    )


def networks() -> st.SearchStrategy[ModelSpec]:
    """Those networks as they are, and with some layers in other forms."""
    return st.one_of(plain_networks(), plain_networks().flatmap(in_forms))


def in_forms(spec: ModelSpec, forms: Sequence[str] = FORMS) -> st.SearchStrategy[ModelSpec]:
    """`spec` with any of those `forms` that its layers can have."""
    steps = [(step, [form for form in forms if takes(form, step)]) for step in spec.steps()]
    between = {form: st.sampled_from([GROUPS, 2 * GROUPS] if form == "grouped" else [1, 2, 5]) for form in FORMS}
    chosen = {
        step.name: st.sampled_from(possible).flatmap(lambda form: st.tuples(st.just(form), between[form]))
        for step, possible in steps
        if isinstance(step.layer, Conv | Linear)
    }
    return _in_order(chosen).map(spec.with_forms)


def small_network(backbone: str, head: str, batch_norm: bool = True, hidden: int = 0) -> ModelSpec:
    """A backbone of some four channels per layer, and so many hidden dense layers of 5."""
    published = BACKBONES[backbone].widths
    width = max(4 / min(published), 6 / max(published))
    spec = ModelSpec.of(backbone, 3, width, head, batch_norm=batch_norm, reduce_to=5, side=side_of(backbone))
    trunk = spec.widths[: len(published) + spec.parts.reduces]
    return replace(spec, widths=(*(min(w, 8) for w in trunk), *[5] * hidden))


def side_of(backbone: str) -> int:
    """Pixels of small images that leave something of its maps."""
    return 64 if backbone == "alexnet" else 32


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
    """A network in float64 with nothing left at a round value: biases, BN shifts and statistics are drawn too. Weights
    have a mean of zero, or maps would grow from layer to layer until all images looked alike."""
    generator = torch.Generator().manual_seed(seed)
    model = fresh(spec, generator).double().eval()
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        noise = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
        tensor.copy_(
            0.5 + noise if name.endswith("running_var") else tensor + noise - (0.5 if tensor.ndim > 1 else 0.3)
        )
    return model


def random_images(count: int = 2, side: int = SIDE, seed: int = 1, channels: int = 3) -> torch.Tensor:
    """Normalised images in float64."""
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, side, side, generator=rng, dtype=torch.float64) * 2 - 1


def assert_same_network(first: BilinearCNN, second: BilinearCNN) -> None:
    assert first.spec == second.spec
    for (name, a), (_, b) in zip(first.state_dict().items(), second.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
