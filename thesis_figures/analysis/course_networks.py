"""The networks of the four course documents, with the numbers that these state, and what is wrong there."""

from dataclasses import dataclass, replace

from bcnn_prune.spec import ModelSpec


@dataclass(frozen=True)
class CourseNetwork:
    """A network as a document lists it; where it is none of ours, torchvision's of the name `counted_as`."""

    document: str
    name: str
    side: int
    spec: ModelSpec | None = None
    counted_as: str = ""
    stated_params: str = ""
    stated_macs: str = ""
    """In millions, as printed."""
    note: str = ""


def of(
    backbone: str, classes: int, head: str, side: int, width: float = 1.0, batch_norm: bool | None = None
) -> ModelSpec:
    """A backbone with a head as a document has it."""
    fixed = side if head == "flatten" else None
    return ModelSpec.of(backbone, classes, width, head, batch_norm=batch_norm, side=fixed)


def _mobilenet(alpha: float, side: int, params: str, macs: str, note: str = "") -> CourseNetwork:
    spec = of("mobilenet", 1000, "average", side, alpha)
    return CourseNetwork("001", f"MobileNet v1, α = {alpha:g}", side, spec, "", params, macs, note)


_CIFAR = of("cifar-cnn", 10, "average", 32)
_HALF = of("cifar-cnn", 10, "flatten", 32, 0.5)
_DENSE = (256, 128)

COURSE_NETWORKS: tuple[CourseNetwork, ...] = (
    CourseNetwork("000", "CIFAR-10 CNN", 32, of("cifar-cnn", 10, "flatten", 32)),
    CourseNetwork("000", "with BatchNorm", 32, of("cifar-cnn", 10, "flatten", 32, batch_norm=True)),
    CourseNetwork("000", "average in place of the dense layers", 32, _CIFAR),
    CourseNetwork("000", "average, dense layers kept", 32, replace(_CIFAR, widths=(*_CIFAR.widths, *_DENSE))),
    CourseNetwork("000", "convolutions of half the width", 32, replace(_HALF, widths=(*_HALF.widths[:-2], *_DENSE))),
    CourseNetwork("000", "half the width, average", 32, of("cifar-cnn", 10, "average", 32, 0.5)),
    CourseNetwork("000", "1 × 1 before 3 × 3 convolutions", 32, of("cifar-cnn-reduced", 10, "average", 32)),
    CourseNetwork(
        "000, 001",
        "VGG-16",
        224,
        of("vgg16", 1000, "flatten", 224, batch_norm=False),
        "",
        "138 M",
        "15300",
        "15300 is the trunk without its dense layers: 15,346,630,656",
    ),
    CourseNetwork("000, 001", "ResNet-50", 224, None, "resnet50"),
    _mobilenet(1, 224, "4.2 M", "569", "569 is rounded up"),
    _mobilenet(0.75, 224, "2.6 M", "325"),
    _mobilenet(0.5, 224, "1.3 M", "149"),
    _mobilenet(0.25, 224, "0.5 M", "41"),
    _mobilenet(1, 192, "4.2 M", "418"),
    _mobilenet(1, 160, "4.2 M", "290", "290 is cut off"),
    _mobilenet(1, 128, "4.2 M", "186"),
    _mobilenet(0.5, 160, "1.32 M", "76", "1.32 M is without BatchNorm; 76 is cut off"),
    CourseNetwork(
        "001", "GoogLeNet", 224, None, "googlenet", "6.8 M", "1550", "torchvision's has 3 × 3 in the 5 × 5 branch"
    ),
    CourseNetwork(
        "001",
        "SqueezeNet 1.0",
        224,
        None,
        "squeezenet1_0",
        "1.25 M",
        "1700",
        "1700 counts multiplications and additions apart, twice its neighbours' unit",
    ),
    CourseNetwork(
        "001", "AlexNet", 224, None, "alexnet", "60 M", "720", "stated is the one of 2012, in two groups at 227 px"
    ),
    CourseNetwork("003", "big CNN", 128, of("food-cnn", 11, "flatten", 128), "", "12956235"),
    CourseNetwork(
        "003",
        "big CNN, separable",
        128,
        of("food-cnn-separable", 11, "flatten", 128),
        "",
        "5671785",
        "",
        "all ten convolutions are separable; parts 2 to 5, as the text says, would leave 5,705,419",
    ),
    CourseNetwork("003", "MobileNet student", 256, of("student", 11, "average", 256), "", "256779"),
    CourseNetwork("003", "ResNet-18, the teacher", 256, None, "resnet18", "11182155"),
    CourseNetwork("003", "small CNN", 128, of("small-cnn", 11, "flatten", 128), "", "241099"),
    CourseNetwork("003", "small CNN, separable", 128, of("small-cnn-separable", 11, "flatten", 128), "", "188971"),
    CourseNetwork(
        "003",
        "small CNN, grouped",
        128,
        of("small-cnn-grouped", 11, "flatten", 128),
        "",
        "200059",
        "",
        "the group table's kernels have 4, 8 and 16 channels in, not 4 each",
    ),
    CourseNetwork(
        "004",
        "AlexNet variant",
        224,
        of("alexnet", 1000, "flatten", 224),
        "",
        "45442856",
        "698.53",
        'conv 1 has 23,296 parameters, printed as 23796; "FLOPS" are multiply-adds',
    ),
    CourseNetwork("004", "VGG-16, one image channel", 224, of("vgg16-digits", 10, "flatten", 224)),
)
