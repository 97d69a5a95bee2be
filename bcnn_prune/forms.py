"""Forms of a layer: as it is, or as two smaller layers without a nonlinearity between them.

The second one keeps the layer's name, so that BatchNorm, head and pooling are told apart as before. Knows no torch."""

from dataclasses import replace

from bcnn_prune.layers import Conv, Depthwise, Layer, Layers, Linear

GROUPS = 4
DENSE = "dense"
FORMS = (DENSE, "low-rank", "separable", "grouped", "reduced")
"""low-rank: a basis of k × k filters, then 1 × 1 (Zhang et al. 2015; a dense layer: two dense ones). separable:
depthwise, then 1 × 1 (Howard et al. 2017). grouped: k × k in GROUPS groups, then 1 × 1. reduced: 1 × 1, then
k × k over fewer channels (Szegedy et al. 2015)."""


def has_width(form: str) -> bool:
    """Whether the channels between the two layers are a choice; the separable form has as many as the layer reads."""
    return form not in (DENSE, "separable")


def formed(name: str, layer: Layer, form: str, between: int) -> Layers:
    """The layers that stand for `layer`, with so many channels between them. Raises ValueError where there are none."""
    pointwise = replace(layer, kernel=1, stride=1, padding=0) if isinstance(layer, Conv) else layer
    match form, layer:
        case "dense", _:
            return {name: layer}
        case "low-rank", Linear():
            return {f"{name}_basis": Linear(between), name: layer}
        case "low-rank", Conv(groups=1):
            return {f"{name}_basis": replace(layer, makes=between, bias=False), name: pointwise}
        case "separable", Conv(groups=1, kernel=kernel, stride=stride, padding=padding):
            return {f"{name}_dw": Depthwise(0, kernel, stride, padding, bias=False), name: pointwise}
        case "grouped", Conv(groups=1):
            return {f"{name}_group": replace(layer, makes=between, groups=GROUPS, bias=False), name: pointwise}
        case "reduced", Conv(groups=1):
            return {f"{name}_reduce": Conv(between, kernel=1, padding=0, bias=False), name: layer}
        case _:
            raise ValueError(f"{name} has no form {form!r}: take {DENSE}, or {', '.join(FORMS[1:])} of a convolution")
