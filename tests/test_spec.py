"""Specs: the VGGs against torchvision's own networks, and shapes that cannot be."""

import pytest
import torch
import torchvision
from torch import nn

from bcnn_prune.backbones import BACKBONES
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.spec import ModelSpec


@pytest.mark.parametrize("name", ["vgg11", "vgg13", "vgg16", "vgg19"])
def test_the_trunk_is_torchvisions_without_its_last_pool(name: str) -> None:
    with torch.device("meta"):
        ours = BilinearCNN(ModelSpec.of(name, 10)).trunk
        theirs = getattr(torchvision.models, f"{name}_bn")().features[:-1]
    assert [type(module) for module in ours] == [type(module) for module in theirs]
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]


def test_names_are_those_of_the_paper() -> None:
    spec = ModelSpec.of("vgg16", 200)
    assert spec.layers == (
        "conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3",
        "conv4_1", "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3",
    )  # fmt: skip
    assert [name for name in spec.architecture if "pool" in name] == [
        "pool1_2", "pool2_2", "pool3_3", "pool4_3", "pooling",
    ]  # fmt: skip
    assert spec.channels == 4224
    assert spec.pooled == "conv5_3"


def test_a_width_factor_scales_every_layer_and_leaves_none_empty() -> None:
    assert ModelSpec.of("vgg11", 2, 0.25).widths == (16, 32, 64, 64, 128, 128, 128, 128)
    assert min(ModelSpec.of("vgg16", 2, 1e-3).widths) == 1


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: ModelSpec.of("vgg12", 10), "no backbone vgg12: take one of vgg11"),
        (lambda: ModelSpec.of("vgg16", 10, 0.0), "width 0"),
        (lambda: ModelSpec.of("vgg16", 10, head="maximum"), "no head maximum: take bilinear"),
        (lambda: ModelSpec.of("vgg16", 10, head="reduced", reduce_to=0), "reduction to 0"),
        (lambda: ModelSpec.of("vgg16", 10, head="flatten", side=16), "pool5_3 needs maps of 2 px, and has 1"),
        (lambda: ModelSpec("vgg11", (8,) * 7, 10), "8 convolutions, not 7"),
        (lambda: ModelSpec("vgg11", (8,) * 8, 10, "reduced"), "9 convolutions, not 8"),
        (lambda: ModelSpec("vgg11", (8, 8, 0, 8, 8, 8, 8, 8), 10), "conv3_1 has none"),
        (lambda: ModelSpec("vgg11", (8,) * 8, 1), "at least 2 classes"),
        (lambda: ModelSpec("vgg11", (8,) * 8, 10, "flatten"), "needs a side"),
        (lambda: ModelSpec("small-cnn-grouped", (8, 6, 8, 8, 8, 8, 8), 10), "conv2_group has 6 channels"),
        (lambda: list(ModelSpec.of("cifar-cnn", 10, head="flatten").steps(64)), "images of 32 px, not 64"),
    ],
)
def test_an_impossible_shape_is_refused_by_name(build, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build()


def test_a_layer_is_a_convolution_and_its_norm() -> None:
    model = BilinearCNN(ModelSpec.of("vgg11", 2, 0.05))
    assert list(model.prunable) == list(model.norms) == list(model.spec.layers)
    assert all(isinstance(norm, nn.BatchNorm2d) for norm in model.norms.values())
    for layer, width in model.spec.width_of.items():
        assert model.prunable[layer].out_channels == model.norms[layer].num_features == width


def test_a_channel_is_gated_by_the_last_norm_that_it_passes() -> None:
    model = BilinearCNN(ModelSpec.of("mobilenet", 2, 0.1))
    assert model.norms["conv1"] is model.trunk.get_submodule("bn2_dw")
    assert model.norms["conv14_pw"] is model.trunk.get_submodule("bn14_pw")


@pytest.mark.parametrize("name", BACKBONES)
def test_a_head_pools_the_maps_in_front_of_the_last_max_pool_but_for_flatten(name: str) -> None:
    pooled, flat = (list(ModelSpec.of(name, 2, 0.5, head).trunk) for head in ("average", "flatten"))
    assert flat[: len(pooled)] == pooled
    assert all(layer.startswith(("pool", "drop")) for layer in flat[len(pooled) :])
