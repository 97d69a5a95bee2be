"""The step from pixels to a network's input, as a part of the network.

A deployed file takes pixels as an image decoder leaves them, so nobody can normalise them twice, wrongly or not at all.
Folding the step into the first convolution as well would not be exact: its border is padded with zeros after it."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from bcnn_prune.metadata import MEAN, STD, Colour


class FromPixels(nn.Module):
    """`network` behind (x / 255 - mean) / std."""

    extent: Tensor
    offset: Tensor

    def __init__(self, network: nn.Module, mean: Colour = MEAN, std: Colour = STD) -> None:
        super().__init__()
        self.network = network
        means, stds = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (mean, std))
        # In this form it is x / 127.5 - 1 to the last bit where mean and std are 0.5, as in training.
        self.register_buffer("extent", (255 * stds).float())
        self.register_buffer("offset", (means / stds).float())

    def forward(self, pixels: UInt8[Tensor, "batch h w 3"]) -> Float[Tensor, "batch classes"]:
        """Logits of RGB pixels, channels last as decoders and our HDF5 files have them."""
        # Of which a network in channels-last layout makes its own copy; another would take that layout from its input.
        images = pixels.permute(0, 3, 1, 2).contiguous().to(self.extent.dtype)
        logits: Tensor = self.network(images / self.extent - self.offset)
        return logits
