"""Backbones: each a function of a few lines from channel widths to layers, and the widths that were published."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bcnn_prune.layers import Conv, Depthwise, Dropout, Layer, Layers, MaxPool, Norm, ReLU, ReLU6


@dataclass(frozen=True)
class Published:
    """Weights of a backbone at full width, trained on ImageNet."""

    names: Callable[[Layers], dict[str, str]]
    """Their names of a trunk's layers, by ours."""
    repositories: Mapping[bool, str]
    """On the Hugging Face hub: with BatchNorm, and without, where there is one."""

    def file_of(self, batch_norm: bool) -> str:
        """timm's name of that network, such as vgg16_bn; empty where there is none."""
        return self.repositories.get(batch_norm, "").partition("/")[2].partition(".")[0]


@dataclass(frozen=True)
class Backbone:
    """A trunk of convolutions, and the network that it was published as."""

    trunk: Callable[[Iterator[int], bool], Layers]
    """The layers for the widths of its convolutions, with BatchNorm or without."""
    widths: tuple[int, ...]
    """Output channels of every prunable convolution, as published."""
    hidden: tuple[int, ...] = ()
    """Outputs of its hidden dense layers under the head "flatten", as published."""
    dropout: float = 0.0
    """In front of the dense layers behind the first."""
    head: str = "flatten"
    batch_norm: bool = True
    side: int = 224
    """Pixels of an image, as published."""
    image_channels: int = 3
    published: Published | None = None


def block(suffix: str, conv: Layer, batch_norm: bool, activation: Layer | None = ReLU()) -> Layers:  # noqa: B008
    """A convolution, its BatchNorm and its activation: conv1_1, bn1_1, relu1_1."""
    layers: Layers = {f"conv{suffix}": conv}
    if batch_norm:
        layers[f"bn{suffix}"] = Norm()
    if activation:
        layers[f"relu{suffix}"] = activation
    return layers


def vgg(*stages: int) -> Callable[[Iterator[int], bool], Layers]:
    """So many 3 × 3 convolutions in each stage, and a 2 × 2 max-pool behind it (Simonyan and Zisserman 2015, table 1).

    Also with BN its convolutions have a bias, as torchvision's."""

    def trunk(widths: Iterator[int], batch_norm: bool) -> Layers:
        layers: Layers = {}
        for stage, convs in enumerate(stages, 1):
            for i in range(1, convs + 1):
                layers |= block(f"{stage}_{i}", Conv(next(widths)), batch_norm)
            layers[f"pool{stage}_{convs}"] = MaxPool()
        return layers

    return trunk


def by_position(layers: Layers) -> dict[str, str]:
    """torchvision's and timm's names of a VGG's layers: features.0 …"""
    return {name: f"features.{i}" for i, name in enumerate(layers)}


def mobilenet(strides: Sequence[int], activation: Layer) -> Callable[[Iterator[int], bool], Layers]:
    """A 3 × 3 convolution of stride 2, then depthwise and pointwise ones in turn, the depthwise ones of these strides
    (MobileNet v1; Howard et al. 2017, table 1, whose last stride of 2 is 1).

    The paper's activation is ReLU (figure 3). Its authors' program and all published weights have ReLU6."""

    def trunk(widths: Iterator[int], batch_norm: bool) -> Layers:
        layers = block("1", Conv(next(widths), stride=2, bias=not batch_norm), batch_norm, activation)
        for i, stride in enumerate(strides, 2):
            layers |= block(f"{i}_dw", Depthwise(stride=stride, bias=not batch_norm), batch_norm, activation)
            layers |= block(f"{i}_pw", _pointwise(next(widths), bias=not batch_norm), batch_norm, activation)
        return layers

    return trunk


def by_stage(layers: Layers) -> dict[str, str]:
    """timm's names of a MobileNet's layers: blocks.1.0.conv_dw …, where each stride of 2 starts a stage."""
    names = {"conv1": "conv_stem", "bn1": "bn1"}
    stage, place = 0, -1
    for name, layer in layers.items():
        if isinstance(layer, Depthwise):
            stage, place = (stage + 1, 0) if layer.stride > 1 else (stage, place + 1)
            i = name.removeprefix("conv").removesuffix("_dw")
            theirs = {f"conv{i}_dw": "conv_dw", f"bn{i}_dw": "bn1", f"conv{i}_pw": "conv_pw", f"bn{i}_pw": "bn2"}
            names |= {ours: f"blocks.{stage}.{place}.{their}" for ours, their in theirs.items()}
    return names


def cifar_cnn(pointwise: bool) -> Callable[[Iterator[int], bool], Layers]:
    """Pairs of 3 × 3 convolutions, max-pool and dropout (course document 000, part 2), or a 1 × 1 convolution in front
    of each 3 × 3 one from the second pair on."""

    def trunk(widths: Iterator[int], batch_norm: bool) -> Layers:
        layers: Layers = {}
        for stage in range(1, 5):
            for i in (1, 2):
                if pointwise and stage > 1:
                    layers |= block(f"{stage}_{i}_pw", _pointwise(next(widths)), batch_norm)
                layers |= block(f"{stage}_{i}", Conv(next(widths)), batch_norm)
            layers[f"pool{stage}"] = MaxPool()
            if stage < 4:
                layers[f"drop{stage}"] = Dropout(rate=0.25)
        return layers

    return trunk


def food_cnn(separable: bool) -> Callable[[Iterator[int], bool], Layers]:
    """Five pairs of convolutions with a max-pool each (course document 003, question 1), plain or all of them depthwise
    and pointwise with a bias in both and no BN between them."""

    def trunk(widths: Iterator[int], batch_norm: bool) -> Layers:
        layers: Layers = {}
        for stage in range(1, 6):
            for i in (1, 2):
                at, width = f"{stage}_{i}", next(widths)
                layers |= _separated(at, width, batch_norm) if separable else block(at, Conv(width), batch_norm)
            layers[f"pool{stage}"] = MaxPool()
        return layers

    return trunk


def student(widths: Iterator[int], batch_norm: bool) -> Layers:
    """A small MobileNet for distillation (course document 003, question 2): no BN behind pointwise convolutions."""
    layers = block("1", Conv(next(widths)), batch_norm, ReLU6())
    layers["pool1"] = MaxPool()
    for i, width in enumerate(widths, 2):
        layers |= block(f"{i}_dw", Depthwise(), batch_norm, ReLU6())
        layers |= block(f"{i}_pw", _pointwise(width), batch_norm=False, activation=None)
        if i <= 4:
            layers[f"pool{i}"] = MaxPool()
    return layers


def small_cnn(kind: str) -> Callable[[Iterator[int], bool], Layers]:
    """Four convolutions (course document 003, question 4); all but the first "plain", "separable" or "grouped"."""

    def convolution(suffix: str, width: int, before: int, batch_norm: bool) -> Layers:
        match kind:
            case "plain":
                return block(suffix, Conv(width), batch_norm)
            case "separable":
                return _separated(suffix, width, batch_norm)
            case _:
                grouped: Layers = {f"conv{suffix}_group": Conv(before, groups=4)}
                return grouped | block(f"{suffix}_pw", _pointwise(width), batch_norm)

    def trunk(widths: Iterator[int], batch_norm: bool) -> Layers:
        layers = block("1", Conv(next(widths)), batch_norm) | {"pool1": MaxPool()}
        for i in range(2, 5):
            grouped = next(widths) if kind == "grouped" else 0
            layers |= convolution(f"{i}", next(widths), grouped, batch_norm)
            if i != 3:
                layers[f"pool{i}"] = MaxPool()
        return layers

    return trunk


def alexnet(widths: Iterator[int], batch_norm: bool) -> Layers:
    """Five convolutions, the first 11 × 11 of stride 4, and overlapping max-pools (course document 004, part II; after
    Krizhevsky 2014)."""
    layers: Layers = {}
    for i in range(1, 6):
        kernel, stride, padding = {1: (11, 4, 2), 2: (5, 1, 2)}.get(i, (3, 1, 1))
        layers |= block(f"{i}", Conv(next(widths), kernel, stride, padding), batch_norm)
        if i in (1, 2, 5):
            layers[f"pool{i}"] = MaxPool(kernel=3, stride=2)
    return layers


def _pointwise(width: int, bias: bool = True) -> Conv:
    return Conv(width, kernel=1, padding=0, bias=bias)


def _separated(suffix: str, width: int, batch_norm: bool) -> Layers:
    """A depthwise and a pointwise convolution, nothing between them."""
    depthwise: Layers = {f"conv{suffix}_dw": Depthwise()}
    return depthwise | block(f"{suffix}_pw", _pointwise(width), batch_norm)


def _vgg(*stages: int, batch_norm: bool = True, image_channels: int = 3) -> Backbone:
    widths = zip(stages, (64, 128, 256, 512, 512), strict=True)
    name = f"timm/vgg{sum(stages) + 3}"  # counted with the dense layers
    return Backbone(
        vgg(*stages),
        widths=tuple(width for convs, width in widths for _ in range(convs)),
        hidden=(4096, 4096),
        dropout=0.5,
        batch_norm=batch_norm,
        image_channels=image_channels,
        published=Published(by_position, {True: f"{name}_bn.tv_in1k", False: f"{name}.tv_in1k"}),
    )


_MOBILENET_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
_MOBILENET = Backbone(
    mobilenet(_MOBILENET_STRIDES, ReLU()),
    widths=(32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024),
    head="average",
)
_CIFAR = Backbone(
    cifar_cnn(pointwise=False),
    widths=(32, 32, 64, 64, 128, 128, 128, 128),
    hidden=(256, 128),
    dropout=0.25,
    batch_norm=False,
    side=32,
)
_FOOD = Backbone(
    food_cnn(separable=False),
    widths=(64, 64, 128, 128, 256, 256, 512, 512, 512, 256),
    hidden=(1024, 512),
    dropout=0.5,
    side=128,
)

BACKBONES: dict[str, Backbone] = {
    "vgg11": _vgg(1, 1, 2, 2, 2),
    "vgg13": _vgg(2, 2, 2, 2, 2),
    "vgg16": _vgg(2, 2, 3, 3, 3),
    "vgg19": _vgg(2, 2, 4, 4, 4),
    "vgg16-digits": replace(_vgg(2, 2, 3, 3, 3, batch_norm=False, image_channels=1), published=None),
    "mobilenet": _MOBILENET,
    "mobilenet-relu6": replace(
        _MOBILENET,
        trunk=mobilenet(_MOBILENET_STRIDES, ReLU6()),
        published=Published(by_stage, {True: "timm/mobilenetv1_100.ra4_e3600_r224_in1k"}),
    ),
    "cifar-cnn": _CIFAR,
    "cifar-cnn-reduced": replace(
        _CIFAR,
        trunk=cifar_cnn(pointwise=True),
        widths=(32, 32, 16, 64, 32, 64, 32, 128, 32, 128, 32, 128, 32, 128),
        hidden=(),
        head="average",
    ),
    "food-cnn": _FOOD,
    "food-cnn-separable": replace(_FOOD, trunk=food_cnn(separable=True)),
    "student": Backbone(student, widths=(16, 32, 64, 128, 256, 256, 256, 256), head="average", side=256),
    "small-cnn": Backbone(small_cnn("plain"), widths=(16, 32, 64, 64), side=128),
    "small-cnn-separable": Backbone(small_cnn("separable"), widths=(16, 32, 64, 64), side=128),
    "small-cnn-grouped": Backbone(small_cnn("grouped"), widths=(16, 16, 32, 32, 64, 64, 64), side=128),
    "alexnet": Backbone(alexnet, widths=(64, 192, 384, 256, 256), hidden=(4096, 1024), batch_norm=False),
}
