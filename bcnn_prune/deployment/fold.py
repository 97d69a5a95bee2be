"""The network as it is deployed: no BatchNorm, and each pair of channels once; the same logits to rounding.

A folded network is an end: it cannot be trained on, pruned or saved as a checkpoint."""

from dataclasses import replace
from typing import assert_never

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bcnn_prune.model.heads import average_features, bilinear_pool, signed_sqrt
from bcnn_prune.model.network import BilinearCNN, trunk_of
from bcnn_prune.spec import ModelSpec


class FoldedBCNN(nn.Module):
    """`spec` for inference: convolutions with a bias, and a classifier over the upper triangle of the pooled matrix.

    That matrix is symmetric: taking each pair of channels once leaves the classifier (C² + C) / 2 inputs of C²."""

    triangle: Tensor
    """Where the entries of the upper triangle lie in the flattened matrix, row by row."""
    repeats: Tensor
    """How often the whole matrix holds each of them: 1 on the diagonal, else 2."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.trunk = trunk_of(replace(spec, batch_norm=False))
        channels = spec.widths[-1]
        rows, columns = torch.triu_indices(channels, channels)
        self.register_buffer("triangle", rows * channels + columns, persistent=False)
        self.register_buffer("repeats", 2.0 - (rows == columns).float(), persistent=False)
        self.classifier = nn.Linear(_inputs(spec), spec.classes)

    def forward(self, images: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch classes"]:
        """Logits of normalised images."""
        features = self.trunk(images)
        logits: Tensor = self.classifier(self._pooled(features))
        return logits

    def _pooled(self, features: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch inputs"]:
        """What the classifier reads."""
        match self.spec.head:
            case "bilinear":
                return self._pairs(features)
            case "average":
                return average_features(features)
            case _:
                assert_never(self.spec.head)

    def _pairs(self, features: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch pairs"]:
        """The upper triangle of what `bilinear_features` returns: of unit length only with its lower half."""
        roots = signed_sqrt(bilinear_pool(features).flatten(1).index_select(1, self.triangle))
        length = (roots * roots @ self.repeats).sqrt()
        return roots / length.clamp_min(1e-12).unsqueeze(1)  # F.normalize's floor, for an image without any feature


def _inputs(spec: ModelSpec) -> int:
    """How many numbers the folded classifier reads."""
    channels = spec.widths[-1]
    match spec.head:
        case "bilinear":
            return (channels**2 + channels) // 2
        case "average":
            return channels
        case _:
            assert_never(spec.head)


@torch.no_grad()
def folded(model: BilinearCNN) -> FoldedBCNN:
    """`model` folded: on its device, in its number format, ready to evaluate, its weights channels last in memory.

    New weights are computed in float64. `model` is untouched."""
    spec, network = model.spec, FoldedBCNN(model.spec).to(model.device, torch.float64)
    given = {name: tensor.double() for name, tensor in model.state_dict().items()}
    state = {name: tensor for name, tensor in given.items() if name in network.state_dict()}
    for layer, norm in model.norms.items():
        at, conv = f"trunk.{layer.replace('conv', 'bn')}", f"trunk.{layer}"
        factor = given[f"{at}.weight"] / torch.sqrt(given[f"{at}.running_var"] + norm.eps)
        state[f"{conv}.weight"] = given[f"{conv}.weight"] * factor[:, None, None, None]
        shift = given[f"{conv}.bias"] - given[f"{at}.running_mean"]
        state[f"{conv}.bias"] = given[f"{at}.bias"] + shift * factor
    if spec.head == "bilinear":
        matrices = given["classifier.weight"].unflatten(1, (spec.widths[-1], spec.widths[-1]))
        both = (matrices + matrices.transpose(1, 2)).flatten(1)[:, network.triangle]
        state["classifier.weight"] = both * network.repeats / 2  # the diagonal was added to itself
    network.load_state_dict(state)
    return network.to(model.classifier.weight.dtype).to(memory_format=torch.channels_last).eval()
