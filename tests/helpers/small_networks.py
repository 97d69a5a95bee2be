"""Weights that tell red, green and blue apart before any training: what a run on `colours` needs is not left to luck.

The first three channels of every layer hand on one colour of the image each, and all others repeat one of the three
with a smaller BN scale. In an image of one colour the channels of the other two are silent. So the bilinear features of
two classes are orthogonal, and the first steps of any classifier part them. The scales of the three are larger than the
L1 of a few epochs can take away: neither it nor a cut by scales touches what the network needs."""

from pathlib import Path

import torch
from torch import nn

from bcnn_prune.data.augment import normalised
from bcnn_prune.data.batches import read_split
from bcnn_prune.model.checkpoint import write_tensors
from bcnn_prune.model.init import fresh
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.spec import ModelSpec

COLOURS = 3
NEEDED, SPARE = 1.5, (0.1, 0.45)  # BN scales: of the three that hand on a colour, and of the others


@torch.no_grad()
def telling_colours(spec: ModelSpec, data: Path) -> BilinearCNN:
    """The network for the images in `data`, in evaluation mode; its classifier is a fresh one.

    Each layer has three channels or more."""
    model = fresh(spec, torch.Generator().manual_seed(0)).eval()
    rng = torch.Generator().manual_seed(1)
    spare = iter(torch.linspace(*SPARE, spec.channels)[torch.randperm(spec.channels, generator=rng)].tolist())
    x = normalised(read_split(data, "train", torch.device("cpu")).images)
    for name, module in model.trunk.named_children():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
            for channel, weight in enumerate((0.5 + torch.rand(module.out_channels, generator=rng)).tolist()):
                module.weight[channel, channel % COLOURS, 1, 1] = weight
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            variance, mean = torch.var_mean(x, (0, 2, 3))
            module.running_mean.copy_(mean)
            module.running_var.copy_(variance)
            needed = [NEEDED] * COLOURS
            module.weight.copy_(torch.tensor([*needed, *(next(spare) for _ in range(module.num_features - COLOURS))]))
            if name != "bn1_1":  # which takes away what an image has of the other colours; the rest only rescale
                module.bias.copy_(module.weight * mean / (variance + module.eps).sqrt())
        x = module(x)
    return model


def write_first_weights(path: Path, spec: ModelSpec, data: Path) -> Path:
    """Write the trunk of that network for --weights, named as torchvision names a VGG's, and return its path."""
    state = nn.Sequential(*telling_colours(spec, data).trunk).state_dict()
    write_tensors(path, {f"features.{name}": tensor for name, tensor in state.items()})
    return path
