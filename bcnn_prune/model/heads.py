"""The bilinear head's arithmetic (Lin et al. 2015, section 3; thesis 3.2)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def bilinear_pool(x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c c"]:
    """Average over positions of the outer product of a feature map with itself."""
    features = x.flatten(2)
    return features @ features.transpose(1, 2) / features.shape[2]


def signed_sqrt(p: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """sign(p) · √(|p| + 1e-8). Zero stays zero, so that a rebuilt network equals the silenced one."""
    return torch.sign(p) * torch.sqrt(p.abs() + 1e-8)  # the 1e-8 keeps the gradient finite at zero


def bilinear_features(x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c*c"]:
    """The unit vector that the classifier reads: pooled, signed root, L2-normalised."""
    return F.normalize(signed_sqrt(bilinear_pool(x)).flatten(1), dim=1)


def average_features(x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c"]:
    """The mean of each channel over its positions: the plain head that table 4.3 sets beside the bilinear one."""
    return x.mean(dim=(2, 3))
