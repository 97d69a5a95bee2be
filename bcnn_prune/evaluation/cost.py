"""What a network costs, from its spec alone, line by line (thesis 3.4): no model, no hooks.

A multiply-add is two FLOPs. Multiply-adds are those of convolutions, the pooling product and the classifier, as torch's
FlopCounterMode counts them. All other arithmetic is counted beside them, as `elementwise`, in the operations that the
network's code asks for: an addition for a bias; 2 an element for BN (scale and shift: its statistics are constants); a
comparison for ReLU and 3 for a 2 × 2 maximum; a division of the pooled product; 5 for the signed root (sign, absolute
value, + 1e-8, root, product); for the norm of n entries n squares, n - 1 additions, a root, its floor and n divisions.

A folded network computes the same logits without what training needs: BN is folded into the convolution before it, and
of the symmetric pooled matrix only the (C² + C) / 2 entries of the upper triangle go on. The product itself stays
whole, as a matrix product does not skip its lower half; the norm weights each entry by how often the matrix has it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from bcnn_prune.records import Cost
from bcnn_prune.spec import ModelSpec

ROOT_OPERATIONS = 5
NOTHING = Cost(params=0, macs=0)


@dataclass(frozen=True)
class Line:
    """What one step of a network costs; all but params and statistics for one image."""

    outputs: int
    """Elements of the activation that it hands on."""
    params: int = 0
    macs: int = 0
    elementwise: int = 0
    """Operations on single elements, which are no multiply-adds."""
    statistics: int = 0
    """Elements of BN's running mean and variance: stored, but not trained and no parameters."""
    in_place: bool = False
    """The output takes the memory of the input."""

    @property
    def flops(self) -> int:
        """Two a multiply-add, elementwise operations left out."""
        return 2 * self.macs

    @property
    def file_bytes(self) -> int:
        """In a checkpoint in fp32; a BN also stores how many batches it has seen, in 8 bytes."""
        return 4 * (self.params + self.statistics) + 8 * (self.statistics > 0)

    @property
    def cost(self) -> Cost:
        return Cost(self.params, self.macs)


def cost_lines(spec: ModelSpec, side: int, folded: bool = False) -> dict[str, Line]:
    """The steps of the forward pass of an image of side × side pixels, by name, in order.

    "conv1_1", "conv1_1 bias", "bn1_1", "relu1_1", …, "pool1_2", …, "pooling", "root", "norm", "classifier",
    "classifier bias". A convolution's and the classifier's own line is that of the weights."""
    return {**_trunk(spec, side, folded), **_head(spec, side, folded)}


def total_cost(spec: ModelSpec, side: int, folded: bool = False) -> Cost:
    """Parameters and multiply-adds of all lines."""
    return _sum(cost_lines(spec, side, folded).values())


def trunk_cost(spec: ModelSpec, side: int) -> Cost:
    """Parameters and multiply-adds of the lines before the bilinear pooling."""
    return _sum(_trunk(spec, side, folded=False).values())


def file_bytes(spec: ModelSpec, folded: bool = False) -> int:
    """Size of the weights on disk in fp32, without the file's header."""
    any_side = 16  # px: no weight depends on it
    return sum(line.file_bytes for line in cost_lines(spec, any_side, folded).values())


def peak_activation_bytes(
    spec: ModelSpec, side: int, batch: int = 1, element_bytes: int = 4, folded: bool = False
) -> int:
    """The largest input and output of one line that must live at once in a forward pass without gradients.

    `element_bytes` is 4 in fp32 and 2 in bf16, taken for the whole network. Not counted are the weights, what a line
    needs inside (a convolution's workspace, the terms of the signed root) and whoever else holds on to the images."""
    peak = held = 3 * side * side
    for line in cost_lines(spec, side, folded).values():
        peak = max(peak, line.outputs if line.in_place else held + line.outputs)
        held = line.outputs
    return peak * batch * element_bytes


def _trunk(spec: ModelSpec, side: int, folded: bool) -> dict[str, Line]:
    lines: dict[str, Line] = {}
    channels = 3
    for layer, width in spec.width_of.items():
        name, weights, outputs = layer.removeprefix("conv"), channels * 9 * width, width * side * side
        lines[layer] = Line(outputs, params=weights, macs=weights * side * side)
        lines[f"{layer} bias"] = Line(outputs, params=width, elementwise=outputs, in_place=True)
        if spec.batch_norm and not folded:
            lines[f"bn{name}"] = Line(outputs, params=2 * width, elementwise=2 * outputs, statistics=2 * width)
        lines[f"relu{name}"] = Line(outputs, elementwise=outputs, in_place=True)
        if layer in spec.pooled_layers:
            side //= 2
            lines[f"pool{name}"] = Line(width * side * side, elementwise=3 * width * side * side)
        channels = width
    return lines


def _head(spec: ModelSpec, side: int, folded: bool) -> dict[str, Line]:
    channels = spec.widths[-1]
    for layer in spec.layers:
        side //= 2 if layer in spec.pooled_layers else 1
    positions, features = side * side, spec.features
    lines: dict[str, Line] = {}
    match spec.head:
        case "average":
            # H·W - 1 additions and a division for each channel.
            lines["pooling"] = Line(channels, elementwise=channels * positions)
        case "bilinear":
            lines["pooling"] = Line(channels**2, macs=channels**2 * positions, elementwise=channels**2)
            if folded:
                features = (channels**2 + channels) // 2
            lines["root"] = Line(features, elementwise=ROOT_OPERATIONS * features)
            lines["norm"] = Line(features, elementwise=(4 if folded else 3) * features + 1)
        case _:
            assert_never(spec.head)
    weights = features * spec.classes
    lines["classifier"] = Line(spec.classes, params=weights, macs=weights)
    lines["classifier bias"] = Line(spec.classes, params=spec.classes, elementwise=spec.classes, in_place=True)
    return lines


def _sum(lines: Iterable[Line]) -> Cost:
    return sum((line.cost for line in lines), NOTHING)
