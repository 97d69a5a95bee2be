"""Pixels to network input: normalising, and random changes with a draw of its own for each image of a batch.

Done on the batch and on the device that trains; decoding and changing images one by one would starve a GPU."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from bcnn_prune.distributed import Shard
from bcnn_prune.records import Augmentation

Images = UInt8[Tensor, "batch 3 h w"] | Float[Tensor, "batch 3 h w"]
"""uint8 as decoded, or floating-point and normalised already."""
Draws = Mapping[str, Float[Tensor, " batch"]]
"""A random change of each image, by name."""


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
    drawn = draws(amount, generator, share, images.device)
    return changed(images, drawn) if len(images) else normalised(images)  # affine_grid refuses an empty batch


def draws(amount: Augmentation, generator: torch.Generator, share: Shard, device: torch.device) -> Draws:
    """Random changes of a share's images by name, in one copy that a GPU need not wait for. Without an amount of colour
    there are none of colour, and without flipping none of mirror."""
    colours = dict.fromkeys(("brightness", "contrast", "saturation"), amount.colour) if amount.colour else {}
    moves = {"rotation": amount.rotation, "zoom": amount.zoom, "across": amount.shift, "down": amount.shift}
    amounts = {**colours, **moves, **({"mirror": 1.0} if amount.flip else {})}
    drawn = torch.stack([(2 * torch.rand(share.of, generator=generator) - 1) * most for most in amounts.values()])
    drawn = drawn[:, share.rows]
    drawn = drawn.pin_memory() if device.type == "cuda" else drawn
    return dict(zip(amounts, drawn.to(device, non_blocking=True).unbind(), strict=True))


def changed(images: UInt8[Tensor, "batch 3 h w"], drawn: Draws) -> Float[Tensor, "batch 3 h w"]:
    """Normalised images, coloured and moved as drawn."""
    x = normalised(images)
    return _moved(_recoloured(x, drawn) if "brightness" in drawn else x, drawn)


def _moved(
    x: Float[Tensor, "batch 3 h w"], drawn: Mapping[str, Float[Tensor, " batch"]]
) -> Float[Tensor, "batch 3 h w"]:
    batch, _, height, width = x.shape
    angle, scale = torch.deg2rad(drawn["rotation"]), 1 / (1 + drawn["zoom"])
    # affine_grid's coordinates run from -1 to 1 over the image, hence the 2.
    across, down = 2 * drawn["across"], 2 * drawn["down"]
    mirror = torch.where(drawn["mirror"] < 0, -1.0, 1.0) if "mirror" in drawn else torch.ones_like(angle)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    aspect = height / width
    rows = torch.stack([mirror * cos, -sin * aspect * mirror, across, sin / aspect, cos, down], dim=1)
    grid = F.affine_grid(rows.reshape(batch, 2, 3), [batch, 3, height, width], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _recoloured(x: Float[Tensor, "batch 3 h w"], drawn: Draws) -> Float[Tensor, "batch 3 h w"]:
    brightness, contrast, saturation = (
        1 + drawn[name][:, None, None, None] for name in ("brightness", "contrast", "saturation")
    )
    x = (x + 1) * brightness - 1
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * saturation
    mean = x.mean((1, 2, 3), keepdim=True)
    return (mean + (x - mean) * contrast).clamp(-1, 1)
