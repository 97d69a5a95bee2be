"""Every backbone under every head, with BatchNorm and without: the same oracles for all."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bcnn_prune.deployment.fold import folded
from bcnn_prune.evaluation.cost import cost_lines, file_bytes, total_cost
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.protocol import Cut
from bcnn_prune.pruning.absorb import absorbed
from bcnn_prune.pruning.importance import CRITERIA
from bcnn_prune.pruning.recalibrate import recalibrated
from bcnn_prune.pruning.sparsity import ScaleL1, scales
from bcnn_prune.pruning.surgery import rebuild, silenced
from bcnn_prune.records import Augmentation, Cost, Recipe
from bcnn_prune.records.json_file import CONVERTER
from bcnn_prune.spec import ModelSpec
from tests.helpers.elementwise import Elementwise
from tests.helpers.strategies import (
    assert_same_network,
    networks,
    plans,
    random_images,
    random_model,
    side_of,
    small_network,
)


def images_for(spec: ModelSpec, count: int = 2) -> Tensor:
    return random_images(count, spec.side or side_of(spec.backbone), channels=spec.image_channels)


def difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).detach().abs().max() / expected.detach().abs().max())


@given(st.data(), networks())
@torch.no_grad()
def test_a_rebuilt_network_computes_what_the_silenced_one_does(data: st.DataObject, spec: ModelSpec) -> None:
    model, plan = random_model(spec), data.draw(plans(spec))
    assert difference(rebuild(model, plan)(images_for(spec)), silenced(model, plan)(images_for(spec))) < 1e-11


@given(st.data(), networks())
def test_two_cuts_are_the_cut_of_their_composition(data: st.DataObject, spec: ModelSpec) -> None:
    model, first = random_model(spec), data.draw(plans(spec))
    second = data.draw(plans(first.narrow(spec)))
    assert_same_network(rebuild(rebuild(model, first), second), rebuild(model, first.then(second)))


@given(networks())
def test_keeping_all_changes_nothing(spec: ModelSpec) -> None:
    model = random_model(spec)
    assert_same_network(rebuild(model, ChannelPlan.keep_all(spec)), model)
    assert_same_network(silenced(model, ChannelPlan.keep_all(spec)), model)


@given(st.data(), networks())
@torch.no_grad()
def test_cost_is_what_torch_counts_and_stores(data: st.DataObject, spec: ModelSpec) -> None:
    spec = data.draw(plans(spec)).narrow(spec)
    model, images = BilinearCNN(spec).eval(), images_for(spec, 1).float()
    with FlopCounterMode(display=False) as counter:
        model(images)
    params = sum(parameter.numel() for parameter in model.parameters())
    assert total_cost(spec, images.shape[-1]) == Cost(params, counter.get_total_flops() // 2)
    assert file_bytes(spec) == sum(tensor.nbytes for tensor in model.state_dict().values())
    with Elementwise() as elementwise:
        model(images)
    assert not elementwise.unknown
    assert sum(line.elementwise for line in cost_lines(spec, images.shape[-1]).values()) == elementwise.count


@given(networks())
@torch.no_grad()
def test_a_folded_network_computes_the_same_at_the_cost_that_is_told(spec: ModelSpec) -> None:
    model, images = random_model(spec), images_for(spec, 1)
    network = folded(model)
    assert difference(network(images), model(images)) < 1e-9
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    with FlopCounterMode(display=False) as counter:
        network(images)
    params = sum(parameter.numel() for parameter in network.parameters())
    assert total_cost(spec, images.shape[-1], folded=True) == Cost(params, counter.get_total_flops() // 2)


@given(networks())
def test_every_criterion_scores_every_channel_that_it_can_tell_of(spec: ModelSpec) -> None:
    model, images = random_model(spec), images_for(spec)
    for name, criterion in CRITERIA.items():
        if not spec.batch_norm and name in ("bn-scale", "taylor"):
            with pytest.raises(ValueError, match="needs BatchNorm"):
                criterion(model, [], torch.Generator())
            continue
        scores = criterion(model, [(images, torch.tensor([0, 1]))], torch.Generator().manual_seed(0))
        assert set(scores) in (set(model.norms), set(spec.layers))
        assert all(len(scores[layer]) == spec.width_of[layer] for layer in scores)


@given(networks().filter(lambda spec: spec.batch_norm))
def test_l1_acts_on_every_gate(spec: ModelSpec) -> None:
    model = random_model(spec)
    recipe = Recipe(1, 0.1, 2, "cosine", Augmentation(), sparsity=0.5, last_sparsity=0.25, update="proximal")
    strengths = {id(scale): strength for scale, strength in ScaleL1.of(model, recipe).strengths}
    assert strengths == {id(norm.weight): 0.25 if layer == spec.pooled else 0.5 for layer, norm in model.norms.items()}


@given(networks())
def test_a_spec_survives_json(spec: ModelSpec) -> None:
    assert CONVERTER.loads(CONVERTER.dumps(spec), ModelSpec) == spec


@given(networks().filter(lambda spec: spec.batch_norm))
def test_recalibration_sees_every_norm_and_no_dropout(spec: ModelSpec) -> None:
    model, images = random_model(spec).train(), images_for(spec, 4)
    once, again = (recalibrated(model, [images]) for _ in range(2))
    assert_same_network(once, again)
    for name, module in once.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.num_batches_tracked == 1, name


def test_absorbing_is_refused_off_a_chain() -> None:
    for name in ("mobilenet", "student", "small-cnn-grouped"):
        model = random_model(small_network(name, "bilinear"))
        with pytest.raises(ValueError, match="needs a chain of convolutions"):
            absorbed(model, ChannelPlan.keep_all(model.spec))


def test_a_plan_of_a_grouped_convolution_keeps_the_same_places_in_every_block() -> None:
    spec = small_network("small-cnn-grouped", "bilinear")
    kept = dict(ChannelPlan.keep_all(spec).kept)
    kept["conv2_group"] = kept["conv2_group"][1:]
    with pytest.raises(ValueError, match="the same channels in each of 4 blocks of conv2_group"):
        ChannelPlan(kept).narrow(spec)


@given(st.data(), networks().filter(lambda spec: spec.batch_norm), st.floats(0, 0.5))
def test_a_cut_by_gates_is_a_plan_for_the_whole_network(data: st.DataObject, spec: ModelSpec, share: float) -> None:
    scores = scales(random_model(spec))
    possible = sum(len(values) - 1 for values in scores.values())
    drop = int(share * possible)
    plan = Cut(drop, min_channels=1, recalibrate=0).select(spec, scores)
    gone = spec.channels - plan.narrow(spec).channels
    blocks = [spec.blocks.get(layer, 1) - 1 for layer in scores]
    assert drop - sum(blocks) * max(spec.widths) <= gone <= drop
    assert all(len(plan.kept[layer]) == width for layer, width in spec.width_of.items() if layer not in scores)


def test_blocks_have_the_same_places_and_go_whole() -> None:
    """Four blocks of two places each; at half the width, of as many as are scored together."""
    plan = ChannelPlan({"conv3_group": (3,)}).completed(small_network("small-cnn-grouped", "average"))
    assert plan.kept["conv3_group"] == (1, 3, 5, 7)
    spec = ModelSpec.of("small-cnn-grouped", 3, 0.5, "flatten", side=32)
    kept = Cut(44, min_channels=4, recalibrate=0).select(spec, scales(random_model(spec)))
    assert spec.channels - kept.narrow(spec).channels == 44


def test_a_network_of_one_image_channel_takes_the_mean_of_three() -> None:
    model = random_model(ModelSpec.of("vgg16-digits", 10, 0.05))
    colours = random_images(2, model.spec.side or side_of("vgg16-digits"), channels=3)
    torch.testing.assert_close(model(colours), model(colours.mean(1, keepdim=True)))
