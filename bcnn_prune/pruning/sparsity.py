"""L1 on BatchNorm scales (network slimming, Liu et al. 2017, eq. 1; thesis 3.3)."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bcnn_prune.model.network import BilinearCNN, Trainable
from bcnn_prune.records import Recipe


@dataclass(frozen=True)
class ScaleL1:
    """The penalty Σ λ·|γ|, with a λ for each layer, applied around the optimizer's step.

    "subgradient" adds λ·sign(γ) to the gradient: the thesis' rule, which hovers about zero. "proximal" shrinks γ
    after the step and reaches zero exactly; it shrinks by rate·λ/(1 - momentum), as far as the sub-gradient moves a
    scale under momentum, so that λ means the same in both. A few kernels change all layers: a GPU would wait for the
    start of one per layer."""

    strengths: tuple[tuple[nn.Parameter, float], ...]
    update: str
    momentum: float
    settled = 1

    @classmethod
    def of(cls, model: BilinearCNN, recipe: Recipe) -> "ScaleL1":
        """The penalty that `recipe` asks for on the BN that gates each layer's channels; that of the channels that the
        head pools has a strength of its own. A frozen scale has none.

        Raises ValueError for a strength above zero where nothing would be penalised: without BatchNorm, or where all
        scales that it is for are frozen."""
        if recipe.sparsity or recipe.last_sparsity:
            model.spec.require_batch_norm("L1 on BN scales", "a recipe whose sparsity and last_sparsity are 0")
        strengths = (
            (norm, recipe.last_sparsity if layer == model.spec.pooled else recipe.sparsity)
            for layer, norm in model.norms.items()
        )
        pairs = tuple((norm.weight, strength) for norm, strength in strengths if strength and norm.weight.requires_grad)
        if (recipe.sparsity or recipe.last_sparsity) and not pairs:
            raise ValueError(
                "L1 has no BN scale to act on: they are frozen, or only the pooled layer has a λ, and no BatchNorm; "
                "take a recipe whose sparsity and last_sparsity are 0"
            )
        return cls(pairs, recipe.update, recipe.momentum)

    def before_step(self) -> None:
        """Change the gradients of the scales in place."""
        if self.update == "subgradient" and self.strengths:
            scales, strengths = self._parts
            pushes = torch._foreach_sign(scales)
            torch._foreach_mul_(pushes, strengths)
            torch._foreach_add_([scale.grad for scale, _ in self.strengths if scale.grad is not None], list(pushes))

    @torch.no_grad()
    def after_step(self, learning_rate: float) -> None:
        """Change the scales in place."""
        if self.update == "proximal" and self.strengths:
            scales, strengths = self._parts
            signs = torch._foreach_sign(scales)
            torch._foreach_abs_(scales)
            torch._foreach_sub_(scales, [learning_rate * strength / (1 - self.momentum) for strength in strengths])
            torch._foreach_clamp_min_(scales, 0)
            torch._foreach_mul_(scales, signs)

    @property
    def _parts(self) -> tuple[list[Tensor], list[float]]:
        """The scales, to be changed in place beside autograd, and their λ."""
        scales, strengths = zip(*self.strengths, strict=True)
        return [scale.detach() for scale in scales], list(strengths)

    def after_epoch(self, epoch: int) -> None:
        """Nothing: L1 acts step by step."""

    def state_dict(self) -> dict[str, Any]:
        """Empty: L1 has no state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load."""


def max_l1_shift(strength: float, learning_rates: float, momentum: float) -> float:
    """Distance that L1 alone can move a scale: λ·Σlr/(1 - momentum), `learning_rates` being the sum over all steps."""
    return strength * learning_rates / (1 - momentum)


def scales(model: Trainable) -> dict[str, Tensor]:
    """|γ| of the BN that gates each layer's channels, by layer, detached, on the CPU; nothing without BatchNorm."""
    return {layer: norm.weight.detach().abs().cpu() for layer, norm in model.norms.items()}


def l1_shortfall(model: BilinearCNN, recipe: Recipe, images: int, share: float) -> str | None:
    """Why L1 cannot bring `share` of the scales to zero in a phase of `recipe` over `images`; None if it can.

    The bound λ·Σlr/(1 - momentum) is on what L1 does alone: the loss can move a scale too, either way. Raises
    ValueError without BatchNorm."""
    if recipe.sparsity_share:  # λ follows from the share
        return None
    model.spec.require_batch_norm("sparse training", "a recipe without sparsity, and filter-norm or random to cut by")
    rates = recipe.learning_rate_sum(images)
    plain, last = (
        max_l1_shift(strength, rates, recipe.momentum) for strength in (recipe.sparsity, recipe.last_sparsity)
    )
    reach = {layer: last if layer == model.spec.pooled else plain for layer in model.spec.layers}
    by_layer = scales(model)
    values = torch.cat(list(by_layer.values()))
    reached = float(sum((found <= reach[layer]).sum() for layer, found in by_layer.items()) / len(values))
    if reached >= share:
        return None
    return (
        f"in the sparse phase L1 can move a BN scale by at most {plain:.2g} (last layer {last:.2g}), and only "
        f"{reached:.0%} of them are that small (median {float(values.median()):.2g}): {share:.0%} will not reach zero. "
        "Raise λ, the rate or the epochs"
    )
