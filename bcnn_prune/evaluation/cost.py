"""Cost of a network from its spec alone, line by line (thesis 3.4): no model, no hooks.

A multiply-add is two FLOPs. Multiply-adds are those of convolutions, the products of the head and dense layers, as
torch's FlopCounterMode counts them. All other arithmetic is counted beside them, as `elementwise`, in the operations
that the network's code asks for: an addition for a bias; 2 per element for BN (scale and shift: its statistics are
constants); a comparison for ReLU and 3 for a 2 × 2 maximum; a division of the pooled product; 5 for the signed root
(sign, absolute value, + 1e-8, root, product); for the norm of n entries n squares, n - 1 additions, a root, its floor
and n divisions. Each layer counts its own (layers.py, heads.py).

A folded network computes the same logits without what training needs: BN is folded into the convolution before it, and
of the symmetric pooled matrix only the (C² + C) / 2 entries of the upper triangle go on. The product itself stays
whole, as a matrix product does not skip its lower half; the norm weights each entry by how often the matrix has it."""

from collections.abc import Iterable

from bcnn_prune.layers import Line, lines_of
from bcnn_prune.records import Cost
from bcnn_prune.spec import ModelSpec


def cost_lines(spec: ModelSpec, side: int, folded: bool = False) -> dict[str, Line]:
    """The operations of the forward pass of an image of side × side pixels, by name, in order.

    "conv1_1", "conv1_1 bias", "bn1_1", "relu1_1", …, "pool1_2", …, "pooling", "root", "norm", "classifier",
    "classifier bias". A convolution's and a dense layer's own line is that of the weights."""
    return lines_of(spec.steps(side, folded))


def total_cost(spec: ModelSpec, side: int, folded: bool = False) -> Cost:
    """Parameters and multiply-adds of all lines."""
    return _sum(cost_lines(spec, side, folded).values())


def file_bytes(spec: ModelSpec, folded: bool = False) -> int:
    """Size of the weights on disk in fp32, without the file's header."""
    return sum(line.file_bytes for line in lines_of(spec.steps(folded=folded)).values())


def peak_activation_bytes(
    spec: ModelSpec, side: int, batch: int = 1, element_bytes: int = 4, folded: bool = False
) -> int:
    """The largest input and output of one line that must live at once in a forward pass without gradients.

    `element_bytes` is 4 in fp32 and 2 in bf16, taken for the whole network. Not counted are the weights, what a line
    needs inside (a convolution's workspace, the terms of the signed root) and whoever else holds on to the images."""
    peak = held = spec.image_channels * side * side
    for line in cost_lines(spec, side, folded).values():
        peak = max(peak, line.outputs if line.in_place else held + line.outputs)
        held = line.outputs
    return peak * batch * element_bytes


def _sum(lines: Iterable[Line]) -> Cost:
    return sum((Cost(line.params, line.macs) for line in lines), Cost(params=0, macs=0))
