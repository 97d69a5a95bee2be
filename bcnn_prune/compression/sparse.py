"""Pruning of single weights by magnitude, at once or little by little while a phase trains.

Layers are ranked against each other by a rule of RULES. LAMP was made for single weights: each weight's square over the
sum of those in its layer that are not below it (Lee et al. 2021)."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bcnn_prune.evaluation.cost import cost_lines
from bcnn_prune.layers import Line
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.pruning.rules import ranked_by
from bcnn_prune.pruning.sparsity import ScaleL1
from bcnn_prune.records import Recipe, WeightPruningSchedule

UPDATES = 32
"""Times, at least, that a schedule looks anew which weights are the smallest; less than twice as often, and in short
ramps at every step."""


def weights_of(model: BilinearCNN) -> dict[str, nn.Parameter]:
    """Weights of convolutions and dense layers by name; no biases, no BatchNorms."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.ndim > 1}


@torch.no_grad()
def magnitude_pruned(model: BilinearCNN, share: float, rule: str = "lamp") -> BilinearCNN:
    """Copy `model` with so large a share of its weights, the smallest, at zero."""
    model = copy.deepcopy(model)
    _apply(model, largest(model, share, rule))
    return model


@torch.no_grad()
def largest(model: BilinearCNN, share: float, rule: str = "lamp") -> dict[str, Tensor]:
    """For each weight whether it stays when the share of the smallest goes. Raises ValueError for no share."""
    if not 0 <= share < 1:
        raise ValueError(f"the share of weights to prune is {share}: take 0 or more and less than 1, such as 0.9")
    weights = weights_of(model)
    scores = ranked_by({name: weight.detach().abs().flatten() for name, weight in weights.items()}, rule)
    flat = torch.cat(list(scores.values()))
    kept = torch.ones_like(flat, dtype=torch.bool)
    kept[flat.argsort(stable=True)[: round(share * len(flat))]] = False
    parts = torch.split(kept, [weight.numel() for weight in weights.values()])
    return {name: part.view_as(weights[name]) for name, part in zip(weights, parts, strict=True)}


def nonzero_macs(model: BilinearCNN, side: int) -> int:
    """Multiply-adds of one image by weights that are not zero; products without weights, as the pooled one's, whole."""

    def of_line(name: str, line: Line) -> int:
        if not line.params:
            return line.macs
        weight = model.layer(name).get_parameter("weight")
        return line.macs * int(weight.count_nonzero()) // line.params

    return sum(of_line(name, line) for name, line in cost_lines(model.spec, side).items() if line.macs)


class GradualPruning:
    """L1 on BN scales, and the smallest weights to zero: a share that rises by s·(1 - (1 - t/T)³) to the schedule's
    (Zhu and Gupta 2017, eq. 1), and from T on trains with the zeros that there are."""

    def __init__(self, model: BilinearCNN, l1: ScaleL1, schedule: WeightPruningSchedule, recipe: Recipe, images: int):
        self._model, self._l1, self._schedule = model, l1, schedule
        self._steps_each = recipe.steps_per_epoch(images)
        self._ramp = max(1, round(schedule.ramp * recipe.epochs * self._steps_each))
        self._every = max(1, self._ramp // UPDATES)
        self._step = 0
        self._kept: dict[str, Tensor] = {}

    @property
    def settled(self) -> int:
        """The first epoch that ends with the whole share at zero."""
        return -(-self._ramp // self._steps_each)

    def before_step(self) -> None:
        """Change the gradients of the scales in place."""
        self._l1.before_step()

    @torch.no_grad()
    def after_step(self, learning_rate: float) -> None:
        """Change the weights in place."""
        self._l1.after_step(learning_rate)
        self._step += 1
        if self._step == self._ramp or (self._step < self._ramp and self._step % self._every == 0):
            _apply(self._model, self._kept)  # what is zero stays among the smallest
            self._kept = largest(self._model, self._share(), self._schedule.rule)
        _apply(self._model, self._kept)

    def after_epoch(self, epoch: int) -> None:
        """Nothing: weights are pruned step by step."""

    def state_dict(self) -> dict[str, Any]:
        """The steps so far, and which weights stay."""
        return {"step": self._step, "kept": self._kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._step = state["step"]
        self._kept = {name: kept.to(self._model.device) for name, kept in state["kept"].items()}

    def _share(self) -> float:
        return self._schedule.share * (1 - (1 - min(1, self._step / self._ramp)) ** 3)


def _apply(model: BilinearCNN, kept: Mapping[str, Tensor]) -> None:
    for name, weight in weights_of(model).items():
        if name in kept:
            weight.masked_fill_(~kept[name], 0)  # a product would leave zeros with a sign
