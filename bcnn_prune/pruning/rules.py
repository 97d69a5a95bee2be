"""Rules that rank the channels of different layers against each other: scores in, scores out, layer by layer.

A criterion's scores are of one size within a layer, but not from layer to layer: ranked as they are, they empty whole
layers. No rule changes the order within a layer, so a rule decides how many channels of each layer go (the allocation),
and the criterion which. A network's plans by one rule nest: a larger cut takes all that a smaller one takes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from bcnn_prune.pruning.importance import Scores
from bcnn_prune.pruning.ranking import require_finite

LayerScores = Float[Tensor, " channels"]


def over_mean(scores: LayerScores) -> LayerScores:
    """Scores over their mean (Torch-Pruning's default for BN scales): the size of the whole layer does not count."""
    return scores / scores.mean().clamp_min(_tiny(scores))


def over_rms(scores: LayerScores) -> LayerScores:
    """Scores over the root of their mean square."""
    return scores / scores.square().mean().sqrt().clamp_min(_tiny(scores))


def lamp(scores: LayerScores) -> LayerScores:
    """Each score² over the sum of those that are not below it (LAMP; Lee et al. 2021, eq. 3): the best has 1.

    Equal scores stand in the order in which selection keeps them, the first channel best."""
    squares, order = scores.square().sort(descending=True, stable=True)
    return torch.empty_like(squares).scatter(0, order, squares / squares.cumsum(0).clamp_min(_tiny(squares)))


def rank(scores: LayerScores) -> LayerScores:
    """The share of the layer that is worse, halfway up its own step: every layer loses the same share of its channels.

    Kept widths are uniform but for rounding; of the scores only their order within the layer counts."""
    order = scores.sort(descending=True, stable=True).indices
    shares = (len(scores) - 0.5 - torch.arange(len(scores), dtype=scores.dtype)) / len(scores)
    return torch.empty_like(scores).scatter(0, order, shares)


def _tiny(scores: LayerScores) -> float:
    """The smallest positive number: a layer whose scores are all zero has zeros by every rule that divides."""
    return torch.finfo(scores.dtype).tiny


@dataclass(frozen=True)
class Rule:
    """Normalisation of scores, and the share of every layer that stays whatever its scores."""

    normalise: Callable[[LayerScores], LayerScores]
    min_share: float = 0.1
    """10 % protected is PruningBench's setting for global pruning."""


RULES: dict[str, Rule] = {
    "thesis": Rule(lambda scores: scores, min_share=0),
    "raw": Rule(lambda scores: scores),
    "mean": Rule(over_mean),
    "rms": Rule(over_rms),
    "lamp": Rule(lamp),
    "rank": Rule(rank),
}


def ranked_by(scores: Scores, rule: str) -> Scores:
    """The scores by which `rule` ranks all channels of a network, in float64; those of "thesis" and "raw" as they are.

    Raises ValueError for an unknown rule, for scores that are not finite by "rank", and for scores below zero by a rule
    that squares them or divides by their mean."""
    if rule not in RULES:
        raise ValueError(f"no rule {rule}: take {', '.join(RULES)}")
    if rule == "rank":  # the others leave what is not finite so, for selection to refuse
        require_finite(scores)
    if rule in ("mean", "lamp") and any((values < 0).any() for values in scores.values()):
        raise ValueError(f"the rule {rule} takes no scores below zero: take thesis, raw, rms or rank")
    return {layer: RULES[rule].normalise(values.double()) for layer, values in scores.items()}
