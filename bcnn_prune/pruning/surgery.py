"""Carry a plan out: a narrower network that computes what the wide one does with the dropped channels silent.

Sees model and plan, never scores (thesis 1.3, fig 1.3: build a new backbone, copy the kept parameters)."""

import copy
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bcnn_prune.layers import Norm
from bcnn_prune.model.network import BilinearCNN, evaluating
from bcnn_prune.model.precision import true_fp32
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.spec import ModelSpec


@torch.no_grad()
def rebuild(model: BilinearCNN, plan: ChannelPlan) -> BilinearCNN:
    """Copy `model` with only the channels that `plan` keeps.

    The copy computes what `model` would with the other channels silenced. `model` is untouched, so an optimizer that
    holds its parameters goes on training the old network: make a new one."""
    narrow = unwritten(plan.narrow(model.spec), model)
    for step in model.steps:
        wide, copied = model.layer(step.name), narrow.layer(step.name)
        _copy_settings(wide, copied)
        slim, axes = copied.state_dict(), step.layer.axes(step.x, step.y)
        for name, value in wide.state_dict().items():
            for axis, activation in enumerate(axes.get(name, ())):
                entries = torch.from_numpy(activation.entries(plan.kept)).to(value.device)
                # A grouped convolution counts its inputs within a block, and a plan keeps the same places in each.
                value = value.index_select(axis, entries[entries < value.shape[axis]])
            slim[name].copy_(value)
    return narrow


def _copy_settings(wide: nn.Module, copied: nn.Module) -> None:
    """Which parameters are frozen, and the numbers of a BatchNorm."""
    for (_, old), (_, new) in zip(wide.named_parameters(), copied.named_parameters(), strict=True):
        new.requires_grad_(old.requires_grad)
    if isinstance(wide, nn.BatchNorm2d) and isinstance(copied, nn.BatchNorm2d):
        copied.eps, copied.momentum = wide.eps, wide.momentum


@torch.no_grad()
def silenced(model: BilinearCNN, plan: ChannelPlan) -> BilinearCNN:
    """Copy `model` at full width with every dropped channel at zero, after each layer that could shift it from there:
    the weight and bias of BatchNorms, and of convolutions and dense layers without a BatchNorm behind them.

    `model` is untouched."""
    silent = copy.deepcopy(model)
    dropped = plan.dropped(model.spec)
    for step, behind in pairwise((*model.steps, None)):
        assert step is not None
        tensors = step.layer.axes(step.x, step.y)
        if not tensors or (behind and isinstance(behind.layer, Norm)):
            continue
        rows = list(dropped.get(step.y.maker, ()))
        state = silent.layer(step.name).state_dict()
        for name in tensors.keys() & {"weight", "bias"}:
            state[name][rows] = 0
    return silent


@torch.no_grad()
def largest_difference(
    one: BilinearCNN, other: BilinearCNN, images: Float[Tensor, "batch colours h w"], batch: int = 32
) -> float:
    """Largest difference between two networks' logits on normalised images, relative to the largest logit.

    The certificate of a rebuilt network against the silenced one: rounding, so 1e-4 in fp32 is generous. Leaves both
    as they were."""
    with true_fp32(), evaluating(one, other):
        a, b = (torch.cat([model(part) for part in torch.split(images, batch)]) for model in (one, other))
    return float((a - b).abs().max() / b.abs().max().clamp_min(torch.finfo(b.dtype).tiny))


def unwritten(spec: ModelSpec, like: BilinearCNN) -> BilinearCNN:
    """A network of this shape where and as `like` is, every tensor of which is still to be set: drawing first weights
    would take longer than the surgery."""
    with torch.device("meta"):
        network = BilinearCNN(spec)
    weight = like.classifier.weight
    # As to_empty, but for what a head computes from its shape alone, which is there already.
    network.to(weight.dtype)._apply(  # type: ignore[no-untyped-call]
        lambda tensor: torch.empty_like(tensor, device=weight.device) if tensor.is_meta else tensor.to(weight.device)
    )
    return network.train(like.training)
