"""The VGG depths, against torchvision's own networks."""

from dataclasses import replace

import pytest
import torch
import torchvision
from torch import nn

from bcnn_prune.deployment.fold import FoldedBCNN
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.spec import STAGES, ModelSpec
from tests.helpers.strategies import TINY, random_images


@pytest.mark.parametrize("depth", STAGES)
def test_the_trunk_is_torchvisions_without_its_last_pool(depth: int) -> None:
    with torch.device("meta"):
        ours = BilinearCNN(ModelSpec.vgg(depth, 10)).trunk
        theirs = getattr(torchvision.models, f"vgg{depth}_bn")().features[:-1]
    assert [type(module) for module in ours] == [type(module) for module in theirs]
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]


def test_names_are_those_of_the_paper() -> None:
    spec = ModelSpec.vgg(16, 200)
    assert spec.layers == (
        "conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3",
        "conv4_1", "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3",
    )  # fmt: skip
    assert spec.pooled_layers == {"conv1_2", "conv2_2", "conv3_3", "conv4_3"}
    assert spec.channels == 4224


def test_a_width_factor_scales_every_layer_and_leaves_none_empty() -> None:
    assert ModelSpec.vgg(11, 2, 0.25).widths == (16, 32, 64, 64, 128, 128, 128, 128)
    assert min(ModelSpec.vgg(16, 2, 1e-3).widths) == 1


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: ModelSpec.vgg(12, 10), "depth 12"),
        (lambda: ModelSpec.vgg(16, 10, 0.0), "width 0"),
        (lambda: ModelSpec(11, (8,) * 7, 10), "8 convolutions, not 7"),
        (lambda: ModelSpec(11, (8, 8, 0, 8, 8, 8, 8, 8), 10), "conv3_1 has none"),
        (lambda: ModelSpec(11, (8,) * 8, 1), "at least 2 classes"),
    ],
)
def test_an_impossible_shape_is_refused_by_name(build, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build()


def test_a_layer_is_a_convolution_and_its_norm() -> None:
    model = BilinearCNN(ModelSpec.vgg(11, 2, 0.05))
    assert list(model.convs) == list(model.norms) == list(model.spec.layers)
    assert all(isinstance(norm, nn.BatchNorm2d) for norm in model.norms.values())
    for layer, width in model.spec.width_of.items():
        assert model.convs[layer].out_channels == model.norms[layer].num_features == width


class OfAnotherHead(ModelSpec):
    """A spec as it would be if `Head` had gained a value and `features` alone had learned of it."""

    @property
    def features(self) -> int:
        return self.widths[-1]


def of_another_head() -> ModelSpec:
    spec = OfAnotherHead(TINY.depth, TINY.widths, TINY.classes, head="average")
    object.__setattr__(spec, "head", "maximum")
    return spec


@pytest.mark.parametrize("network", [BilinearCNN, FoldedBCNN])
def test_a_network_refuses_a_head_that_it_does_not_know(network) -> None:
    model = network(replace(TINY, head="average"))
    model.spec = of_another_head()
    with pytest.raises(AssertionError, match="maximum"):
        model(random_images(2).float())


def test_an_unknown_head_has_no_cost_and_no_number_of_inputs() -> None:
    with pytest.raises(AssertionError, match="maximum"):
        total_cost(of_another_head(), side=16)
    with pytest.raises(AssertionError, match="maximum"):
        ModelSpec.features.fget(of_another_head())
