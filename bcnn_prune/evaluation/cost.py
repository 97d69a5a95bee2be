"""Parameters and multiply-adds from a spec alone, line by line (thesis 3.4): no model, no hooks.

One multiply-add is two FLOPs. Counted are convolutions, the pooling product and the classifier, as torch's
FlopCounterMode does; biases and BatchNorm stand in the parameters only (at inference a BN folds into its conv)."""

from bcnn_prune.records import Cost
from bcnn_prune.spec import ModelSpec

NOTHING = Cost(params=0, macs=0)


def cost_lines(spec: ModelSpec, side: int) -> dict[str, Cost]:
    """The cost of one image of side × side pixels: each convolution and its BN, the pooling product, the classifier."""
    lines: dict[str, Cost] = {}
    channels = 3
    for layer, width in spec.width_of.items():
        weights = channels * 9 * width
        lines[layer] = Cost(params=weights + width, macs=weights * side * side)
        if spec.batch_norm:
            lines[layer.replace("conv", "bn")] = Cost(params=2 * width, macs=0)
        if layer in spec.pooled_layers:
            side //= 2
        channels = width
    if spec.head == "bilinear":
        lines["pooling"] = Cost(params=0, macs=spec.features * side * side)
    weights = spec.features * spec.classes
    lines["classifier"] = Cost(params=weights + spec.classes, macs=weights)
    return lines


def total_cost(spec: ModelSpec, side: int) -> Cost:
    """The sum of all lines."""
    return sum(cost_lines(spec, side).values(), NOTHING)


def trunk_cost(spec: ModelSpec, side: int) -> Cost:
    """The sum of the convolutions' and BNs' lines."""
    lines = cost_lines(spec, side)
    return sum((cost for name, cost in lines.items() if name not in ("pooling", "classifier")), NOTHING)
