"""The heads' arithmetic in torch: bilinear pooling (Lin et al. 2015, section 3; thesis 3.2) and iSQRT-COV (Li et al.
2018). Their layers without torch are in bcnn_prune/heads.py."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def bilinear_pool(x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c c"]:
    """Average over positions of the outer product of a feature map with itself."""
    features = x.flatten(2)
    return features @ features.transpose(1, 2) / features.shape[2]


def covariance_pool(x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c c"]:
    """Covariance of the channels over positions (Li et al. 2018, section 3.1)."""
    features = x.flatten(2)
    features = features - features.mean(2, keepdim=True)
    return features @ features.transpose(1, 2) / features.shape[2]


def signed_sqrt(p: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """sign(p) · √(|p| + 1e-8). Zero stays zero, so that a rebuilt network equals the silenced one."""
    return torch.sign(p) * torch.sqrt(p.abs() + 1e-8)  # the 1e-8 keeps the gradient finite at zero


def unit_length(matrices: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch features"]:
    """Each as a vector over its L2 norm."""
    return F.normalize(matrices.flatten(1), dim=1)


def average_features(x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c"]:
    """The mean of each channel over its positions: the plain head that table 4.3 sets beside the bilinear one."""
    return x.mean(dim=(2, 3))


def matrix_sqrt(matrices: Float[Tensor, "batch c c"], iterations: int) -> Float[Tensor, "batch c c"]:
    """Square roots of positive semi-definite matrices by coupled Newton-Schulz iteration (Li et al. 2018, eqs. 5 to 7):
    A over its trace, Y ← ½·Y·(3·I - Z·Y), Z ← ½·(3·I - Z·Y)·Z, and times the root of the trace. Rows and columns of
    zeros stay zero."""
    trace = matrices.diagonal(dim1=1, dim2=2).sum(1).clamp_min(1e-12)[:, None, None]
    y = matrices / trace
    identity3 = 3 * torch.eye(y.shape[1], dtype=y.dtype, device=y.device)
    step = (identity3 - y) / 2  # Z starts at the identity
    y, z = y @ step, step
    for left in reversed(range(iterations - 1)):
        step = (identity3 - z @ y) / 2
        y, z = y @ step, step @ z if left else z
    return y * trace.sqrt()
