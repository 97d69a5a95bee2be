"""Carry a plan out: a narrower network that computes what the wide one does with the dropped channels silent.

Sees model and plan, never scores (thesis 1.3, fig 1.3: build a new backbone, copy the kept parameters)."""

import copy
from typing import assert_never

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.model.precision import true_fp32
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.spec import ModelSpec


@torch.no_grad()
def rebuild(model: BilinearCNN, plan: ChannelPlan) -> BilinearCNN:
    """Copy `model` with only the channels that `plan` keeps.

    The copy computes what `model` would with the other channels' BN scale and shift at zero. `model` is untouched, so
    an optimizer that holds its parameters goes on training the old network: make a new one."""
    weight = model.classifier.weight
    narrow = _unwritten(plan.narrow(model.spec), model)
    inputs = torch.arange(3, device=weight.device)
    for layer, conv in model.convs.items():
        outputs = torch.tensor(plan.kept[layer], device=weight.device)
        _copy(narrow.convs[layer], {"weight": conv.weight[outputs][:, inputs], "bias": conv.bias[outputs]})  # type: ignore[index]
        if norm := model.norms.get(layer):
            state = {name: value[outputs] if value.ndim else value for name, value in norm.state_dict().items()}
            _copy(narrow.norms[layer], state)
        inputs = outputs
    _copy(
        narrow.classifier,
        {"weight": weight.index_select(1, _columns(model.spec, inputs)), "bias": model.classifier.bias},
    )
    return narrow


@torch.no_grad()
def silenced(model: BilinearCNN, plan: ChannelPlan) -> BilinearCNN:
    """Copy `model` at full width with BN scale and shift of every dropped channel at zero (without BN, its filter and
    bias). `model` is untouched."""
    silent = copy.deepcopy(model)
    for layer, channels in plan.dropped(model.spec).items():
        last = silent.norms.get(layer, silent.convs[layer])
        last.weight[list(channels)] = 0
        last.bias[list(channels)] = 0  # type: ignore[index]
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


def _columns(spec: ModelSpec, kept: Int64[Tensor, " kept"]) -> Int64[Tensor, " features"]:
    """Which inputs of the classifier of `spec` are made of its last layer's `kept` channels."""
    match spec.head:
        case "bilinear":
            # It reads a flattened C x C outer product: losing channel i loses row i and column i of it.
            return (kept[:, None] * spec.widths[-1] + kept).flatten()
        case "average":
            return kept
        case _:
            assert_never(spec.head)


def _unwritten(spec: ModelSpec, like: BilinearCNN) -> BilinearCNN:
    """A network of this shape where and as `like` is, every tensor of which is still to be set: drawing first weights
    would take longer than the surgery."""
    with torch.device("meta"):
        network = BilinearCNN(spec)
    weight = like.classifier.weight
    return network.to(weight.dtype).to_empty(device=weight.device).train(like.training)


def _copy(module: nn.Module, state: dict[str, Tensor]) -> None:
    for name, value in module.state_dict().items():
        value.copy_(state[name])
