"""Select channels: scores in, a plan out.

Knows no network, so every criterion is ranked alike; surgery carries the plan out."""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping

from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.importance import Scores

Fewest = int | Mapping[str, int]
"""Channels that stay whatever their scores: as many in every layer, or a number by layer."""


def min_widths(widths: Mapping[str, int], min_channels: int, min_share: float = 0.0) -> dict[str, int]:
    """The fewest channels by layer: `min_channels`, or the share `min_share` of the layer, rounded up, if that is more.

    A layer that has fewer keeps all."""
    if min_channels < 1:
        raise ValueError(f"at least {min_channels} channels in every layer: every layer needs 1 or more")
    if not 0 <= min_share < 1:
        raise ValueError(f"the share that stays of every layer is {min_share}: take 0 or more and less than 1")
    shares = {layer: math.ceil(round(width * min_share, 6)) for layer, width in widths.items()}
    return {layer: min(width, max(min_channels, shares[layer])) for layer, width in widths.items()}


def require_possible(widths: Mapping[str, int], drop: int, fewest: Fewest) -> None:
    """Raise ValueError, saying how much can go, unless `drop` channels can while `fewest` stay.

    Needs no scores, so that a run can refuse before it trains."""
    if not widths:
        raise ValueError("no layer has scores: take a criterion that this network has scores for")
    least = _by_layer(widths, fewest)
    total, possible = sum(widths.values()), sum(width - least[layer] for layer, width in widths.items())
    if not 0 <= drop <= possible:
        stay = f"{fewest} stay in every layer" if isinstance(fewest, int) else f"{total - possible} are protected"
        raise ValueError(
            f"{drop} of {total} channels cannot go while {stay}: at most {possible} can ({possible / total:.1%}); "
            "prune less, or lower the floor"
        )


def keep_highest(scores: Scores, drop: int, min_channels: Fewest) -> ChannelPlan:
    """Keep all but the `drop` lowest scores of the whole network, sparing `min_channels` in every layer.

    What is spared in one layer is made up by the next lowest scores of the others, so exactly `drop` channels go. Among
    equal scores the deepest layer goes first, since its channels cost the most parameters (the classifier reads the
    square of the last width), and in a layer the highest index. Refuses as `require_possible` does."""
    remaining = {layer: len(values) for layer, values in scores.items()}
    require_possible(remaining, drop, min_channels)
    least = _by_layer(remaining, min_channels)
    ranking = sorted(
        (float(score), -depth, -channel, layer)
        for depth, (layer, values) in enumerate(scores.items())
        for channel, score in enumerate(values.tolist())
    )
    gone: dict[str, set[int]] = {layer: set() for layer in scores}
    for _, _, negative_channel, layer in ranking:
        if drop == 0:
            break
        if remaining[layer] > least[layer]:
            gone[layer].add(-negative_channel)
            remaining[layer] -= 1
            drop -= 1
    return ChannelPlan(
        {layer: tuple(i for i in range(len(values)) if i not in gone[layer]) for layer, values in scores.items()}
    )


def keep_widths(scores: Scores, widths: Mapping[str, int]) -> ChannelPlan:
    """Keep so many of each layer's channels, those with the highest scores; among equals those of the lowest index."""
    best = {
        layer: values.sort(descending=True, stable=True).indices[: widths[layer]] for layer, values in scores.items()
    }
    return ChannelPlan({layer: tuple(sorted(channels.tolist())) for layer, channels in best.items()})


def round_widths_up(plan: ChannelPlan, scores: Scores, multiple: int) -> ChannelPlan:
    """`plan` with as many of each layer's best dropped channels back as bring its width to a multiple of `multiple`, or
    to all that the layer has: processors compute so many channels at a time."""
    if multiple < 1:
        raise ValueError(f"widths in multiples of {multiple} are none: take 1 to leave them, or 8 or 16")
    kept = {}
    for layer, channels in plan.kept.items():
        dropped = sorted(set(range(len(scores[layer]))) - set(channels), key=lambda i: (-float(scores[layer][i]), i))
        kept[layer] = tuple(sorted((*channels, *dropped[: -len(channels) % multiple])))
    return ChannelPlan(kept)


def smallest_cut(scores: Scores, min_channels: Fewest, multiple: int, fits: Callable[[ChannelPlan], bool]) -> int:
    """Fewest channels that have to go for what is left to fit; widths are rounded up to `multiple`.

    `fits` must stay true as more goes: cuts of one ranking nest, so any sum of costs does. Raises ValueError where
    not even the largest cut that `min_channels` allow fits."""
    widths = {layer: len(values) for layer, values in scores.items()}
    possible = sum(widths.values()) - sum(_by_layer(widths, min_channels).values())

    def fitting(drop: int) -> bool:
        return fits(round_widths_up(keep_highest(scores, drop, min_channels), scores, multiple))

    if not fitting(possible):
        stay = min_channels if isinstance(min_channels, int) else min(min_channels.values())
        raise ValueError(f"cutting all {possible} channels that a floor of {stay} allows is not enough")
    return bisect_left(range(possible), True, key=fitting)


def threshold(scores: Scores, plan: ChannelPlan) -> float:
    """The largest score that `plan` drops, 0 if it drops none: the line in the thesis' γ figures (4.2)."""
    dropped = [
        score
        for layer, values in scores.items()
        for channel, score in enumerate(values.tolist())
        if channel not in set(plan.kept[layer])
    ]
    return max(dropped, default=0.0)


def _by_layer(widths: Mapping[str, int], fewest: Fewest) -> dict[str, int]:
    if isinstance(fewest, int):
        return min_widths(widths, fewest)
    return {layer: min(width, fewest[layer]) for layer, width in widths.items()}
