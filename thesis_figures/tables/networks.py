"""The course documents' networks, counted beside what they state, and the cost of separable convolutions."""

from collections.abc import Mapping

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.layers import Activation, Conv, Depthwise
from bcnn_prune.records import Cost
from thesis_figures.analysis.course_networks import COURSE_NETWORKS
from thesis_figures.tables.table import Column, Row, Table

COLUMNS = (
    Column("document", "document"),
    Column("network", "network"),
    Column("input", "input"),
    Column("parameters", "parameters", ",d"),
    Column("multiply_adds", "multiply-adds", ",d"),
    Column("stated_parameters", "stated\nparameters"),
    Column("stated_multiply_adds", "stated\nmultiply-adds, M"),
    Column("note", "note"),
)
SEPARABLE = (
    Column("channels", "output\nchannels D", ",d"),
    Column("alpha", "α", "g"),
    Column("beta", "β", ".3g"),
    Column("depthwise", "depthwise part", ".4f"),
    Column("pointwise", "pointwise part", ".4f"),
    Column("both", "separable over\nplain", ".4f"),
    Column("stated", "as the document\nstates", ".4f"),
)
WIDTHS, MULTIPLIERS, SIDES = (64, 128, 256, 512, 1024), (1.0, 0.75, 0.5, 0.25), (224, 192, 160, 128)
MAP = 56  # px of the map that the ratio is counted on; β scales it, and it cancels


def networks(counted: Mapping[tuple[str, int], Cost]) -> Table:
    """Every network of the documents' tables; `counted` holds torchvision's by name and side."""
    rows: list[Row] = []
    for network in COURSE_NETWORKS:
        cost = (
            total_cost(network.spec, network.side) if network.spec else counted.get((network.counted_as, network.side))
        )
        channels = network.spec.image_channels if network.spec else 3
        rows.append(
            {
                "document": network.document,
                "network": network.name,
                "input": f"{channels} × {network.side} × {network.side}",
                "parameters": cost.params if cost else None,
                "multiply_adds": cost.macs if cost else None,
                "stated_parameters": network.stated_params or None,
                "stated_multiply_adds": network.stated_macs or None,
                "note": network.note or None,
            }
        )
    notes = (
        "Parameters are weights, biases and BN's scale and shift; multiply-adds of one image are those of convolutions "
        "and dense layers. ResNets, GoogLeNet, SqueezeNet and AlexNet are torchvision's, counted by torch's counter; "
        "the others are described in bcnn_prune/backbones.py.",
    )
    return Table("table-networks", "The networks of the course documents", COLUMNS, tuple(rows), notes)


def separable() -> Table:
    """1/D + 1/9 and αβ²/D + α²β²/9: a separable 3 × 3 convolution of D channels over a plain one."""
    rows = [_separable(width, 1.0, 1.0) for width in WIDTHS]
    rows += [
        _separable(512, alpha, side / SIDES[0]) for alpha in MULTIPLIERS for side in SIDES if (alpha, side) != (1, 224)
    ]
    notes = (
        "Multiply-adds of a depthwise and a pointwise convolution over those of the plain one of D channels: 1/D + "
        "1/9; with α times the channels on maps of β times the side, over the plain one at α = β = 1: αβ²/D + α²β²/9. "
        "Counted by layer, not by formula.",
        "The document gives the depthwise part as 1/9 and αβ²/9, where it is 1/D and αβ²/D: its sums are up to twice "
        "too high.",
    )
    return Table("table-separable-cost", "Cost of a separable 3 × 3 convolution", SEPARABLE, tuple(rows), notes)


def _separable(width: int, alpha: float, beta: float) -> Row:
    whole = _macs(Conv(width), width, MAP)
    side, narrow = round(MAP * beta), round(width * alpha)
    depthwise = _macs(Depthwise(), narrow, side) / whole
    pointwise = _macs(Conv(narrow, kernel=1, padding=0), narrow, side) / whole
    return {
        "channels": width,
        "alpha": alpha,
        "beta": beta,
        "depthwise": depthwise,
        "pointwise": pointwise,
        "both": depthwise + pointwise,
        "stated": alpha * beta**2 / 9 + alpha**2 * beta**2 / 9,
    }


def _macs(layer: Conv | Depthwise, channels: int, side: int) -> int:
    x = Activation("image", channels, side)
    return layer.lines("layer", x, layer.out(x, "layer"))["layer"].macs
