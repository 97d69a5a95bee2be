"""Pixels to network input: normalising, and random changes with a draw of its own for each image of a batch.

Done on the batch and on the device that trains; decoding and changing images one by one would starve a GPU."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from bcnn_prune.distributed import Shard
from bcnn_prune.records import Augmentation

Images = UInt8[Tensor, "batch 3 h w"] | Float[Tensor, "batch 3 h w"]
"""uint8 as decoded, or floating-point and normalised already."""


def normalised(images: Images) -> Float[Tensor, "batch 3 h w"]:
    """Values -1 to 1: mean and standard deviation 0.5 of the unit range (thesis 3.1). Floating-point images stay."""
    return images if images.is_floating_point() else images.float() / 127.5 - 1


def augmented(
    images: Images,
    amount: Augmentation,
    generator: torch.Generator,
    share: Shard | None = None,
) -> Float[Tensor, "batch 3 h w"]:
    """Normalised images, each moved and coloured by draws of its own from a CPU generator. Floating-point images stay.

    Rotation, zoom, shift and mirror are one affine map, so pixels are resampled once; what comes from outside the
    image repeats its border. Where the images are a `share` of a batch, draws are made for all of it, so that each
    image looks as it would in the whole."""
    if images.is_floating_point():
        return images
    share = Shard(0, len(images), len(images)) if share is None else share
    return _moved(_recoloured(normalised(images), amount, generator, share), amount, generator, share)


def _draw(share: Shard, amount: float, generator: torch.Generator, like: Tensor) -> Float[Tensor, " batch"]:
    return ((2 * torch.rand(share.of, generator=generator) - 1) * amount)[share.rows].to(like)


def _moved(
    x: Float[Tensor, "batch 3 h w"], amount: Augmentation, generator: torch.Generator, share: Shard
) -> Float[Tensor, "batch 3 h w"]:
    batch, _, height, width = x.shape
    angle = torch.deg2rad(_draw(share, amount.rotation, generator, x))
    scale = 1 / (1 + _draw(share, amount.zoom, generator, x))
    # affine_grid's coordinates run from -1 to 1 over the image, hence the 2.
    across, down = (2 * _draw(share, amount.shift, generator, x) for _ in range(2))
    mirror = torch.where(_draw(share, 1.0, generator, x) < 0, -1.0, 1.0) if amount.flip else torch.ones_like(angle)
    if not batch:  # affine_grid refuses an empty batch
        return x
    cos, sin = scale * angle.cos(), scale * angle.sin()
    aspect = height / width
    rows = torch.stack([mirror * cos, -sin * aspect * mirror, across, sin / aspect, cos, down], dim=1)
    grid = F.affine_grid(rows.reshape(batch, 2, 3), [batch, 3, height, width], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _recoloured(
    x: Float[Tensor, "batch 3 h w"], amount: Augmentation, generator: torch.Generator, share: Shard
) -> Float[Tensor, "batch 3 h w"]:
    if amount.colour == 0:
        return x
    brightness, contrast, saturation = (
        1 + _draw(share, amount.colour, generator, x)[:, None, None, None] for _ in range(3)
    )
    x = (x + 1) * brightness - 1
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * saturation
    mean = x.mean((1, 2, 3), keepdim=True)
    return (mean + (x - mean) * contrast).clamp(-1, 1)
