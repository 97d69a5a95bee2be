"""Importance criteria: a network in, one score for each channel out. The lower, the sooner it is dropped."""

from collections.abc import Callable, Iterable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from bcnn_prune.model.network import BilinearCNN, evaluating
from bcnn_prune.pruning.fisher import divergence_without, fisher_scores
from bcnn_prune.pruning.sparsity import scales

Scores = Mapping[str, Float[Tensor, " channels"]]
Batches = Iterable[tuple[Float[Tensor, "batch colours h w"], Int[Tensor, " batch"]]]
Criterion = Callable[[BilinearCNN, Batches, torch.Generator], Scores]

DIRECTIONS = 4  # per image, for the Fisher information; each costs a backward pass
TIE = 1e-9
"""Relative difference of scores that counts for none."""
BY_GATES = ("bn-scale", "taylor")
"""The criteria that rank only channels that pass a BatchNorm; the others rank all."""
WITHOUT_BN = "filter-norm, fisher or random"
"""The criteria that rank the channels of a network without BatchNorm."""


def bn_scale(model: BilinearCNN, batches: Batches, generator: torch.Generator) -> Scores:
    """|γ| of the BN that gates each channel: network slimming (Liu et al. 2017); the thesis' only criterion (3.3).

    Raises ValueError without BatchNorm."""
    model.spec.require_batch_norm("bn-scale", WITHOUT_BN)
    return scales(model)


@torch.no_grad()
def filter_norm(model: BilinearCNN, batches: Batches, generator: torch.Generator) -> Scores:
    """L2 norm of each filter or row of a dense layer (after Li et al. 2017), over the root of the mean square of its
    layer's.

    The norms of different layers are not alike in size, so ranked as they are they would empty whole layers. Molchanov
    et al. (2017, section 2.3) divide by the root of the sum; of the mean it says the same within a layer, but spares
    narrow layers no more than wide ones."""
    norms = {name: layer.weight.flatten(1).norm(dim=1).cpu() for name, layer in model.prunable.items()}
    tiny = torch.finfo(torch.float32).tiny  # a layer of zeros has zeros
    return {name: norm / norm.square().mean().sqrt().clamp_min(tiny) for name, norm in norms.items()}


def taylor(model: BilinearCNN, batches: Batches, generator: torch.Generator) -> Scores:
    """Change of the loss without the channel, to first order: (γ·∂L/∂γ + β·∂L/∂β)², summed over batches
    of normalised images and labels (Molchanov et al. 2019, eq. 8, with the BN as the gate). `model` is untouched.

    Raises ValueError without BatchNorm or images, and where γ or β take no gradient."""
    model.spec.require_batch_norm("taylor", WITHOUT_BN)
    norms = model.norms
    gates = [parameter for norm in norms.values() for parameter in (norm.weight, norm.bias)]
    if not all(gate.requires_grad for gate in gates):
        raise ValueError("taylor differentiates by γ and β, and some are frozen: unfreeze them, or take fisher")
    scores = {layer: torch.zeros(len(norm.weight)) for layer, norm in norms.items()}
    with evaluating(model):
        for images, labels in _some(batches):
            gradients = iter(torch.autograd.grad(F.cross_entropy(model(images), labels), gates))
            for layer, norm in norms.items():
                change = norm.weight * next(gradients) + norm.bias * next(gradients)
                scores[layer] += change.detach().square().cpu()
    return scores


def fisher(model: BilinearCNN, batches: Batches, generator: torch.Generator) -> Scores:
    """Change of the prediction without the channel, in nats, to second order (fisher.py): half the true
    Fisher information of a gate on it. Labels are not looked at. `model` is untouched."""
    return _summed(model, batches, lambda images: fisher_scores(model, images, _signs(model, images, generator)))


def fisher_head(model: BilinearCNN, batches: Batches, generator: torch.Generator) -> Scores:
    """`fisher`, and for the channels that the head pools the divergence itself: that of the prediction without the
    channel, with what the head makes of the others computed anew. `model` is untouched."""
    last = model.spec.pooled

    def scored(images: Tensor) -> Scores:
        others = fisher_scores(model, images, _signs(model, images, generator))
        return {**others, last: divergence_without(model, images)}

    return _summed(model, batches, scored)


def _signs(model: BilinearCNN, images: Tensor, generator: torch.Generator) -> Tensor:
    """1 and -1, drawn evenly, for some directions, each image and each class."""
    return torch.randint(0, 2, (DIRECTIONS, len(images), model.spec.classes), generator=generator).float() * 2 - 1


def _summed(model: BilinearCNN, batches: Batches, scored: Callable[[Tensor], Scores]) -> Scores:
    """Scores added up over the images of all batches, the model in evaluation mode. Raises ValueError without any."""
    scores = {layer: torch.zeros(width) for layer, width in model.spec.width_of.items()}
    with evaluating(model):
        for images, _ in _some(batches):
            for layer, values in scored(images).items():
                scores[layer] += values
    return scores


def _some(batches: Batches) -> Batches:
    """The batches. Raises ValueError at their end where they held no image: all scores would be zero."""
    seen = 0
    for images, labels in batches:
        seen += len(images)
        yield images, labels
    if not seen:
        raise ValueError("this criterion looks at images, and there are none: give it batches of them")


def random_scores(model: BilinearCNN, batches: Batches, generator: torch.Generator) -> Scores:
    """Even between 0 and 1: what any criterion has to beat."""
    return {layer: torch.rand(width, generator=generator) for layer, width in model.spec.width_of.items()}


def with_blocks(scores: Scores, blocks: Mapping[str, int]) -> Scores:
    """Scores of layers whose channels lie in so many blocks: a place's mean over them, as it goes in all or in none.

    Places that tie are told apart by less than any difference that counts, the first the highest. Else the ranking
    would take some blocks of each, and none of them could go."""
    shared = {
        layer: _by_place(scores[layer], count).repeat(count) for layer, count in blocks.items() if layer in scores
    }
    return {**scores, **shared}


def _by_place(scores: Float[Tensor, " channels"], blocks: int) -> Float[Tensor, " places"]:
    places = scores.double().reshape(blocks, -1).mean(0)
    least = TIE * places.abs().max().clamp_min(TIE)
    return places + least * torch.linspace(1, 0, len(places), dtype=torch.float64)


CRITERIA: dict[str, Criterion] = {
    "bn-scale": bn_scale,
    "filter-norm": filter_norm,
    "taylor": taylor,
    "fisher": fisher,
    "fisher-head": fisher_head,
    "random": random_scores,
}
