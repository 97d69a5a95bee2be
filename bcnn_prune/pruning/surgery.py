"""Carry a plan out: a narrower network that computes what the wide one does with the dropped channels silent.

Sees model and plan, never scores (thesis 1.3, fig 1.3: build a new backbone, copy the kept parameters)."""

import copy
from collections.abc import Callable
from typing import assert_never

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.model.precision import true_fp32
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.spec import ModelSpec


@torch.no_grad()
def rebuild(model: BilinearCNN, plan: ChannelPlan, absorb: bool = False) -> BilinearCNN:
    """Copy `model` with only the channels that `plan` keeps.

    The copy computes what `model` would with the other channels' BN scale and shift at zero; with `absorb`, what
    `emitting` would. `model` is untouched, so an optimizer that holds its parameters goes on training the old network:
    make a new one. Raises ValueError for `absorb` without BatchNorm."""
    if absorb:
        model.spec.require_batch_norm("absorbing what dropped channels emit", "the plain cut, without absorb")
    weight = model.classifier.weight
    narrow = _unwritten(plan.narrow(model.spec), model)
    inputs, constant = torch.arange(3, device=weight.device), torch.zeros(3).to(weight)
    for layer, conv in model.convs.items():
        outputs = torch.tensor(plan.kept[layer], device=weight.device)
        _copy(narrow.convs[layer], {"weight": conv.weight[outputs][:, inputs], "bias": conv.bias[outputs]})  # type: ignore[index]
        if norm := model.norms.get(layer):
            state = {name: value[outputs] if value.ndim else value for name, value in norm.state_dict().items()}
            if absorb:
                state["running_mean"] -= conv.weight[outputs].sum(dim=(2, 3)) @ constant
                constant = norm.bias.relu().index_fill(0, outputs, 0)
            _copy(narrow.norms[layer], state)
        inputs = outputs
    _copy(
        narrow.classifier,
        {"weight": weight.index_select(1, _columns(model.spec, inputs)), "bias": model.classifier.bias},
    )
    return narrow


@torch.no_grad()
def embedded(model: BilinearCNN, plan: ChannelPlan, unpruned: ModelSpec) -> BilinearCNN:
    """The network of the shape `unpruned` with `model` in the channels that `plan` keeps, and zeros elsewhere.

    It computes what `model` does, at the cost of `unpruned`; rebuilt by the same plan it is `model`, which stays
    untouched. Raises ValueError for a plan that does not lead from `unpruned` to `model`."""
    plan.require_leads(unpruned, model.spec)
    wide = _unwritten(unpruned, model)
    for value in wide.state_dict().values():
        value.zero_()
    inputs = torch.arange(3, device=model.device)
    for layer, conv in model.convs.items():
        outputs = torch.tensor(plan.kept[layer], device=model.device)
        wide.convs[layer].weight[outputs[:, None], inputs] = conv.weight
        wide.convs[layer].bias[outputs] = conv.bias  # type: ignore[index, assignment]
        if norm := model.norms.get(layer):
            for name, value in wide.norms[layer].state_dict().items():
                value[outputs if value.ndim else ...] = norm.state_dict()[name]
        inputs = outputs
    wide.classifier.weight[:, _columns(unpruned, inputs)] = model.classifier.weight
    wide.classifier.bias.copy_(model.classifier.bias)
    return wide


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
def emitting(model: BilinearCNN, plan: ChannelPlan) -> BilinearCNN:
    """Copy `model` at full width with every dropped channel as if its γ were zero: it emits ReLU(β), a constant, which
    each convolution sees beyond the border too. Dropped channels of the last layer are silent: what they emit would
    have to pass the bilinear pooling. `model` is untouched. Raises ValueError without BatchNorm."""
    model.spec.require_batch_norm("a channel that emits ReLU(β)", "silenced")
    wide = copy.deepcopy(model)
    before: Tensor | None = None
    for layer, channels in plan.dropped(model.spec).items():
        conv, norm = wide.convs[layer], wide.norms[layer]
        if before is not None:
            conv.register_forward_pre_hook(_padded_with(before))
            conv.padding = (0, 0)
        dropped = list(channels)
        norm.weight[dropped] = 0
        if layer == model.spec.layers[-1]:
            norm.bias[dropped] = 0
        before = torch.zeros_like(norm.bias)
        before[dropped] = norm.bias[dropped].relu()
    return wide


def _padded_with(constant: Tensor) -> Callable[[nn.Module, tuple[Tensor]], Tensor]:
    """What makes a convolution's input one pixel wider on every side, each channel padded with its own constant."""
    border = constant[:, None, None]
    return lambda _conv, inputs: F.pad(inputs[0] - border, (1, 1, 1, 1)) + border


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
