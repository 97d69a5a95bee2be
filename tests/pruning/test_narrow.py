"""A pretrained trunk cut to narrower layers: the largest |γ| of every layer stay, and compute what they did."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.model.init import fresh
from bcnn_prune.pruning.narrow import largest_scales, with_narrowed_trunk
from bcnn_prune.pruning.sparsity import scales
from bcnn_prune.pruning.surgery import silenced
from bcnn_prune.spec import ModelSpec
from tests.helpers.strategies import TINY, random_images, random_model


def narrower(draw: st.DrawFn) -> tuple[int, ...]:
    return tuple(draw(st.integers(1, width)) for width in TINY.widths)


@given(st.composite(narrower)())
def test_the_largest_scales_of_each_layer_stay(widths: tuple[int, ...]) -> None:
    model, spec = random_model(TINY), replace(TINY, widths=widths)
    plan = largest_scales(model, spec)
    assert plan.narrow(TINY) == spec
    for layer, values in scales(model).items():
        kept = set(plan.kept[layer])
        gone = [float(value) for channel, value in enumerate(values) if channel not in kept]
        assert min(float(values[channel]) for channel in kept) >= max(gone, default=0)


def test_a_reduction_keeps_its_own_first_weights() -> None:
    """No pretrained trunk has one: those of the wide network are as fresh."""
    spec = ModelSpec.of("vgg11", 3, 0.05, "reduced", reduce_to=4)
    narrow = replace(spec, widths=(*(max(1, width - 1) for width in spec.widths[:-1]), spec.widths[-1]))
    model = fresh(narrow, torch.Generator().manual_seed(3))
    before = {name: value.clone() for name, value in model.trunk.state_dict().items() if "_reduce" in name}
    wide = fresh(spec, torch.Generator().manual_seed(4))
    after = with_narrowed_trunk(model, wide).trunk.state_dict()
    assert before.keys() > {"conv_reduce.weight"}
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_the_narrow_trunk_computes_what_the_silenced_one_does() -> None:
    wide, spec = random_model(TINY).eval(), replace(TINY, widths=tuple(max(1, width - 1) for width in TINY.widths))
    plan, target = largest_scales(wide, spec), fresh(spec, torch.Generator().manual_seed(3)).double()
    classifier = target.classifier.weight.clone()
    narrow = with_narrowed_trunk(target, wide).eval()
    images = random_images()
    with torch.no_grad():
        kept = silenced(wide, plan).eval().trunk(images)[:, list(plan.kept[TINY.layers[-1]])]
        torch.testing.assert_close(narrow.trunk(images), kept, rtol=1e-4, atol=1e-4)
    assert torch.equal(narrow.classifier.weight, classifier)


def test_the_own_widths_change_nothing() -> None:
    wide = random_model(TINY)
    narrow = with_narrowed_trunk(fresh(TINY, torch.Generator().manual_seed(3)).double(), wide)
    for name, tensor in wide.trunk.state_dict().items():
        assert torch.equal(narrow.trunk.state_dict()[name], tensor), name


def test_dense_layers_keep_their_outputs() -> None:
    """No BatchNorm ranks them; `at_own_widths` gives the wide network as many as the run has."""
    spec = ModelSpec.of("vgg11", 3, 0.05, "flatten", side=32)
    convolutions = (max(1, width - 1) for width in spec.widths[: spec.convolutions])
    narrow = replace(spec, widths=(*convolutions, *spec.widths[spec.convolutions :]))
    model = with_narrowed_trunk(
        fresh(narrow, torch.Generator().manual_seed(3)), fresh(spec, torch.Generator().manual_seed(4))
    )
    assert model.spec == narrow
    shorter = replace(spec, widths=(*spec.widths[:-1], spec.widths[-1] - 1))
    with pytest.raises(ValueError, match=f"no BatchNorm ranks the {spec.widths[-1]} channels of {spec.layers[-1]}"):
        largest_scales(fresh(spec, torch.Generator().manual_seed(3)), shorter)


def test_a_wider_run_is_refused_with_both_numbers() -> None:
    wider = replace(TINY, widths=(TINY.widths[0] + 2, *TINY.widths[1:]))
    says = f"conv1_1 has {TINY.widths[0]} channels in the weights and {TINY.widths[0] + 2} in this run"
    with pytest.raises(ValueError, match=says):
        largest_scales(random_model(TINY), wider)
