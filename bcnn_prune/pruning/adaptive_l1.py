"""L1 on BatchNorm scales whose strength follows from the share of them that is to be at zero."""

import math
from dataclasses import replace
from typing import Any

import torch

from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.pruning.sparsity import ScaleL1
from bcnn_prune.records import NEAR_ZERO, Recipe


def l1_of(model: BilinearCNN, recipe: Recipe, images: int) -> "ScaleL1 | AdaptiveL1":
    """The penalty that `recipe` asks for, in a phase over so many images."""
    l1 = ScaleL1.of(model, recipe)
    return AdaptiveL1(l1, recipe, images) if recipe.sparsity_share else l1


class AdaptiveL1:
    """L1 whose λ is set anew after every epoch, so that the share p of all scales is at zero when the phase ends.

    Let q be the p-quantile of |γ|, R the sum of the learning rates of all steps to come, and m the momentum. L1 alone
    moves a scale by λ·R / (1 - m) (network slimming's subgradient), so a proportional controller on q, with what the
    loss pushed against L1 in the last epoch as its offset, is

        λ ← q·(1 - m) / R + max(0, λ' - (q' - q)·(1 - m) / R'),

    where λ', q' and R' are of the epoch that ends; λ no more than doubles, unless it is 0. Once the share of scales
    at zero, s, is p or more, λ ← λ'·p / s. The rule is ours; Gallego-Posada et al. (NeurIPS 2022) raise a Lagrange
    multiplier while a constraint on sparsity is violated, which needs a step size. Where the recipe's strengths of
    layers differ, λ multiplies them alike: |γ| over a layer's strength, relative to `recipe.sparsity`, stands for
    |γ|. On a plateau schedule R is that of the present rate; against a steep loss λ then comes too late in a short
    phase."""

    settled = 1

    def __init__(self, l1: ScaleL1, recipe: Recipe, images: int) -> None:
        self._l1, self._recipe = l1, recipe
        self._steps_each = recipe.steps_per_epoch(images)
        self._quantile, self._rates, self._epoch, self._rate = self._distance(), 0.0, 0, recipe.learning_rate
        self._strength = self._to_move(self._quantile, self._rates_left())

    def before_step(self) -> None:
        """Change the gradients of the scales in place."""
        self._penalty.before_step()

    def after_step(self, learning_rate: float) -> None:
        """Change the scales in place."""
        self._penalty.after_step(learning_rate)
        self._rates, self._rate = self._rates + learning_rate, learning_rate

    def after_epoch(self, epoch: int) -> None:
        """Set λ for the next epoch."""
        self._epoch = epoch
        quantile, zero, left = self._distance(), self._share_at_zero(), self._rates_left()
        if zero >= self._recipe.sparsity_share:
            self._strength *= self._recipe.sparsity_share / zero
        elif left > 0:
            push = self._strength - self._to_move(self._quantile - quantile, self._rates)
            most = 2 * self._strength or math.inf  # from λ = 0 it could never rise
            self._strength = min(self._to_move(quantile, left) + max(0.0, push), most)
        self._quantile, self._rates = quantile, 0.0

    @property
    def strength(self) -> float:
        """λ of the next step."""
        return self._strength

    def state_dict(self) -> dict[str, Any]:
        """λ and the quantile that it was set by."""
        return {"strength": self._strength, "quantile": self._quantile, "epoch": self._epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._strength, self._quantile, self._epoch = state["strength"], state["quantile"], state["epoch"]

    @property
    def _penalty(self) -> ScaleL1:
        factor = self._strength / self._recipe.sparsity
        return replace(self._l1, strengths=tuple((scale, own * factor) for scale, own in self._l1.strengths))

    def _distance(self) -> float:
        """The quantile of |γ|, which is to come to zero."""
        scales = torch.cat([scale.detach().abs() * (self._recipe.sparsity / own) for scale, own in self._l1.strengths])
        return float(scales.double().quantile(self._recipe.sparsity_share))

    def _share_at_zero(self) -> float:
        return float((torch.cat([scale.detach().abs() for scale, _ in self._l1.strengths]) < NEAR_ZERO).double().mean())

    def _to_move(self, distance: float, rates: float) -> float:
        """λ that moves a scale so far in steps whose learning rates have this sum, if the loss does not move it."""
        return distance * (1 - self._recipe.momentum) / rates

    def _rates_left(self) -> float:
        """The sum of the learning rates of all steps after this epoch."""
        done, steps = self._epoch * self._steps_each, self._recipe.epochs * self._steps_each
        if self._recipe.schedule == "plateau":
            return self._rate * (steps - done)
        at = torch.arange(done, steps, dtype=torch.float64)
        return float((self._recipe.learning_rate * (1 + torch.cos(math.pi * at / steps)) / 2).sum())
