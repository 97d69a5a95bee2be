"""The features of the bilinear head in one call."""

from jaxtyping import Float
from torch import Tensor

from bcnn_prune.model.heads import bilinear_pool, signed_sqrt, unit_length


def bilinear_features(x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c*c"]:
    """The unit vector that the classifier reads: pooled, signed root, L2-normalised."""
    return unit_length(signed_sqrt(bilinear_pool(x)))
