"""Criteria that need no labels: the change of the predicted distribution when a channel goes, in nats.

The divergence KL(p ‖ p′) between the predictions with and without a channel is ½·Jᵀ(diag(p) − p·pᵀ)J to second order,
where J is the derivative of the logits by a gate on the channel. That is half the true Fisher information of the gate:
Taylor expansion with labels drawn from the network's own prediction. True labels make it vanish on a fitted set."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from bcnn_prune.model.network import BilinearCNN, forward_hook


def fisher_scores(
    model: BilinearCNN, images: Float[Tensor, "batch colours h w"], signs: Float[Tensor, "directions batch classes"]
) -> dict[str, Float[Tensor, " channels"]]:
    """Half the Fisher information of a gate on each channel, summed over images: ½·Σ Jᵀ(diag(p) − p·pᵀ)J.

    Estimated without bias as (vᵀJ)² from directions v with E[v·vᵀ] = diag(p) − p·pᵀ, which `signs` of 1 and -1, drawn
    evenly, make. Labels drawn from p have the same expectation, but a network that is sure of itself would draw a
    telling one too seldom. Each direction costs a backward pass. `model` is untouched; have it in evaluation mode."""
    with _gates(model, len(images)) as gates:
        logits = model(images)
        shares = logits.detach().softmax(dim=1)
        scores = {layer: torch.zeros(gate.shape[1]) for layer, gate in gates.items()}
        for sign in signs.to(shares):
            signed = shares.sqrt() * sign
            direction = signed - shares * signed.sum(dim=1, keepdim=True)
            gradients = torch.autograd.grad((logits * direction).sum(), list(gates.values()), retain_graph=True)
            for layer, gradient in zip(gates, gradients, strict=True):
                scores[layer] += gradient.flatten(1).square().sum(dim=0).cpu().float() / (2 * len(signs))
    return scores


@torch.no_grad()
def divergence_without(model: BilinearCNN, images: Float[Tensor, "batch colours h w"]) -> Float[Tensor, " channels"]:
    """KL(p ‖ p′) of the predictions with and without each channel that the head pools, summed over images, exactly.

    The head is computed anew without the channel: a bilinear head loses a row and a column of its product, and the rest
    is normalised anew, which no gradient of a unit vector shows."""
    kept: list[Tensor] = []
    with forward_hook(model.trunk, lambda _module, _inputs, output: kept.append(output)):
        logs = model(images).log_softmax(dim=1)
    features = kept[0].to(model.classifier.weight.dtype)
    divergences = []
    for channel in range(features.shape[1]):
        rest = features.index_fill(1, torch.tensor([channel], device=features.device), 0)
        without = _classified(model, rest).log_softmax(dim=1)
        divergences.append((logs.exp() * (logs - without)).sum().clamp_min(0))
    return torch.stack(divergences).cpu().float()


def _classified(model: BilinearCNN, features: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch classes"]:
    """Logits of what the trunk makes."""
    logits: Tensor = model.classifier(model.head(features))
    return logits


@contextmanager
def _gates(model: BilinearCNN, batch: int) -> Iterator[dict[str, Tensor]]:
    """Factors of 1 per image and channel on each layer's channels, behind their last BatchNorm, before the ReLU."""
    like, gates = model.classifier.weight, dict[str, Tensor]()
    with ExitStack() as hooks:
        for layer, module in model.prunable.items():
            shape = (batch, len(module.weight), *[1] * (module.weight.ndim - 2))
            gates[layer] = torch.ones(shape, dtype=like.dtype, device=like.device, requires_grad=True)
            gated = lambda _module, _inputs, output, gate=gates[layer]: output * gate  # noqa: E731
            hooks.enter_context(forward_hook(model.norms.get(layer, module), gated))
        yield gates
