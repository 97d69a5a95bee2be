"""The network as it is deployed: no BatchNorm, and each pair of channels once; the same logits to rounding.

A folded network is an end: it cannot be trained on, pruned or saved as a checkpoint."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from bcnn_prune.layers import Linear, Step
from bcnn_prune.model.network import BilinearCNN, LayerStack
from bcnn_prune.spec import ModelSpec


class FoldedBCNN(LayerStack):
    """`spec` for inference: convolutions with a bias, and a classifier over the upper triangle of the pooled matrix.

    That matrix is symmetric: taking each pair of channels once leaves the classifier (C² + C) / 2 inputs of C²."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec, folded=True)


@torch.no_grad()
def folded(model: BilinearCNN) -> FoldedBCNN:
    """`model` folded: on its device, in its number format, ready to evaluate, its weights channels last in memory.

    New weights are computed in float64. `model` is untouched."""
    network = FoldedBCNN(model.spec).to(model.device, torch.float64)
    following = dict(pairwise([step.name for step in model.steps]))
    for step in network.steps:
        target, source = network.layer(step.name), model.layer(step.name)
        state = {name: tensor.double() for name, tensor in source.state_dict().items()}
        if isinstance(norm := model.layer(following.get(step.name, step.name)), nn.BatchNorm2d):
            state = _with_norm(state, norm)
        elif isinstance(step.layer, Linear) and step.x.layout == "triangle":
            state["weight"] = _pairs_once(state["weight"], step)
        target.load_state_dict(state)
    return network.to(model.classifier.weight.dtype).to(memory_format=torch.channels_last).eval()


def _with_norm(conv: dict[str, Tensor], norm: nn.BatchNorm2d) -> dict[str, Tensor]:
    """The tensors of a convolution, in float64, that computes what it and the BatchNorm behind it do."""
    given = {name: tensor.double() for name, tensor in norm.state_dict().items()}
    factor = given["weight"] / torch.sqrt(given["running_var"] + norm.eps)
    shift = conv.get("bias", torch.zeros_like(factor)) - given["running_mean"]
    return {"weight": conv["weight"] * factor[:, None, None, None], "bias": given["bias"] + shift * factor}


def _pairs_once(weight: Tensor, step: Step) -> Tensor:
    """Columns for each pair of channels once, of a dense layer that read the whole matrix; of one that did not, its
    own."""
    channels = step.x.channels
    if weight.shape[1] == step.x.size:
        return weight
    rows, columns = torch.triu_indices(channels, channels, device=weight.device)
    matrices = weight.view(-1, channels, channels)
    both = (matrices + matrices.transpose(1, 2))[:, rows, columns]
    both[:, rows == columns] /= 2  # the diagonal was added to itself
    return both
