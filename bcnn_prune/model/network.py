"""The bilinear CNN: a VGG trunk with BatchNorm and one linear classifier on its bilinear features (thesis 3.2)."""

from collections import OrderedDict
from typing import assert_never

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bcnn_prune.model.heads import average_features, bilinear_features
from bcnn_prune.spec import ModelSpec


def trunk_of(spec: ModelSpec) -> nn.Sequential:
    """Convolutions, BatchNorms where the spec has them, ReLUs and max-pools, by name: conv1_1, bn1_1, relu1_1, …"""
    trunk: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for layer, width in spec.width_of.items():
        suffix = layer.removeprefix("conv")
        trunk[layer] = nn.Conv2d(channels, width, 3, padding=1)
        if spec.batch_norm:
            trunk[f"bn{suffix}"] = nn.BatchNorm2d(width)
        trunk[f"relu{suffix}"] = nn.ReLU(inplace=True)
        if layer in spec.pooled_layers:
            trunk[f"pool{suffix}"] = nn.MaxPool2d(2)
        channels = width
    return nn.Sequential(trunk)


class BilinearCNN(nn.Module):
    """`spec` made of tensors. `convs` and `norms` give the layers by name ("conv5_3"), in order."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.trunk = trunk_of(spec)
        self.classifier = nn.Linear(spec.features, spec.classes)

    @property
    def convs(self) -> dict[str, nn.Conv2d]:
        """Convolutions by layer name."""
        return {name: module for name, module in self.trunk.named_children() if isinstance(module, nn.Conv2d)}

    @property
    def norms(self) -> dict[str, nn.BatchNorm2d]:
        """The BatchNorm of each convolution, by the convolution's name; nothing where the spec has none."""
        norms = [module for module in self.trunk if isinstance(module, nn.BatchNorm2d)]
        return dict(zip(self.spec.layers, norms, strict=True)) if norms else {}

    @property
    def device(self) -> torch.device:
        return self.classifier.weight.device

    def forward(self, images: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch classes"]:
        """Logits of normalised images. Sides of 16 px and more; no other limit."""
        features = self.trunk(images)
        # Also under autocast the head runs in fp32: the pooled product overflows fp16, and bf16 has too few digits.
        with torch.autocast(features.device.type, enabled=False):
            logits: Tensor = self.classifier(self._pooled(features.to(self.classifier.weight.dtype)))
        return logits

    def _pooled(self, features: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch inputs"]:
        """What the classifier reads."""
        match self.spec.head:
            case "bilinear":
                return bilinear_features(features)
            case "average":
                return average_features(features)
            case _:
                assert_never(self.spec.head)
