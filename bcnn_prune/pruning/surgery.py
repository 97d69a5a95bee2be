"""Carry a plan out: a narrower network that computes what the wide one does with the dropped channels silent.

Sees model and plan, never scores (thesis 1.3, fig 1.3: build a new backbone, copy the kept parameters)."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.model.precision import true_fp32
from bcnn_prune.plan import ChannelPlan


@torch.no_grad()
def rebuild(model: BilinearCNN, plan: ChannelPlan) -> BilinearCNN:
    """Copy `model` with only the channels that `plan` keeps.

    The copy computes what `model` would with the other channels' BN scale and shift at zero. `model` is untouched,
    so an optimizer that holds its parameters goes on training the old network: make a new one."""
    weight = model.classifier.weight
    narrow = BilinearCNN(plan.narrow(model.spec)).to(weight.device, weight.dtype).train(model.training)
    inputs = torch.arange(3, device=weight.device)
    for layer, conv in model.convs.items():
        outputs = torch.tensor(plan.kept[layer], device=weight.device)
        _copy(narrow.convs[layer], {"weight": conv.weight[outputs][:, inputs], "bias": conv.bias[outputs]})  # type: ignore[index]
        norm = {
            name: value[outputs] if value.ndim else value for name, value in model.norms[layer].state_dict().items()
        }
        _copy(narrow.norms[layer], norm)
        inputs = outputs
    width = model.spec.widths[-1]
    # The head reads a flattened C x C outer product: losing channel i loses row i and column i of it.
    columns = (inputs[:, None] * width + inputs).flatten()
    _copy(narrow.classifier, {"weight": weight[:, columns], "bias": model.classifier.bias})
    return narrow


@torch.no_grad()
def silenced(model: BilinearCNN, plan: ChannelPlan) -> BilinearCNN:
    """Copy `model` at full width with BN scale and shift of every dropped channel at zero. `model` is untouched."""
    silent = copy.deepcopy(model)
    for layer, channels in plan.dropped(model.spec).items():
        silent.norms[layer].weight[list(channels)] = 0
        silent.norms[layer].bias[list(channels)] = 0
    return silent


@torch.no_grad()
def largest_difference(
    one: BilinearCNN, other: BilinearCNN, images: Float[Tensor, "batch 3 h w"], batch: int = 32
) -> float:
    """Largest difference between two networks' logits on normalised images, relative to the largest logit.

    The certificate of a rebuilt network against the silenced one: rounding, so 1e-4 in fp32 is generous. Leaves both
    in evaluation mode."""
    with true_fp32():
        a, b = (torch.cat([model.eval()(part) for part in torch.split(images, batch)]) for model in (one, other))
    return float((a - b).abs().max() / b.abs().max().clamp_min(torch.finfo(b.dtype).tiny))


def _copy(module: nn.Module, state: dict[str, Tensor]) -> None:
    for name, value in module.state_dict().items():
        value.copy_(state[name])
