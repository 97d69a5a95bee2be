"""The ranking of all channels of a network: the lowest go. Loads no torch, so that figures of records can cut, too."""

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Protocol, runtime_checkable

from bcnn_prune.plan import ChannelPlan

Channel = tuple[str, int]
"""Layer and index."""
Fewest = int | Mapping[str, int]
"""Channels that stay whatever their scores: as many in every layer, or a number by layer."""


@runtime_checkable
class Values(Protocol):
    """Scores of a layer's channels: a tensor, or an array of NumPy."""

    def __len__(self) -> int: ...

    def tolist(self) -> list[float]: ...


def min_widths(widths: Mapping[str, int], min_channels: int, min_share: float = 0.0) -> dict[str, int]:
    """The fewest channels by layer: `min_channels`, or the share `min_share` of the layer, rounded up, if that is more.

    A layer that has fewer keeps all."""
    if min_channels < 1 or min_channels % 1:
        raise ValueError(f"at least {min_channels} channels in every layer: take a whole number, 1 or more")
    if not 0 <= min_share < 1:
        raise ValueError(f"the share that stays of every layer is {min_share}: take 0 or more and less than 1")
    shares = {layer: math.ceil(round(width * min_share, 6)) for layer, width in widths.items()}
    return {layer: min(width, max(min_channels, shares[layer])) for layer, width in widths.items()}


def drop_counts(total: int, fraction: float, steps: int = 1) -> tuple[int, ...]:
    """Channels of `total` that each of `steps` cuts drops: whole, as even as can be, `fraction` of them in the end.

    drop_counts(total=4224, fraction=0.4, steps=4) = (422, 423, 422, 423)."""
    if not 0 <= fraction < 1:
        raise ValueError(f"the share to prune is {fraction}: take 0 or more and less than 1, such as 0.4")
    if steps < 1:
        raise ValueError(f"{steps} steps prune nothing: take 1 or more")
    drop = round(total * fraction)
    ends = [drop * step // steps for step in range(steps + 1)]
    return tuple(end - start for start, end in pairwise(ends))


def require_possible(widths: Mapping[str, int], drop: int, fewest: Fewest) -> None:
    """Raise ValueError, saying how much can go, unless `drop` channels can while `fewest` stay.

    Needs no scores, so that a run can refuse before it trains."""
    if not widths:
        raise ValueError("no layer has scores: take a criterion that this network has scores for")
    least = least_widths(widths, fewest)
    total, possible = sum(widths.values()), sum(width - least[layer] for layer, width in widths.items())
    if not 0 <= drop <= possible:
        stay = f"{fewest} stay in every layer" if isinstance(fewest, int) else f"{total - possible} are protected"
        raise ValueError(
            f"{drop} of {total} channels cannot go while {stay}: at most {possible} can ({possible / total:.1%}); "
            "prune less, or lower the floor"
        )


def keep_highest(scores: Mapping[str, Values], drop: int, min_channels: Fewest) -> ChannelPlan:
    """Keep all but the `drop` lowest scores of the whole network, sparing `min_channels` in every layer.

    What is spared in one layer is made up by the next lowest scores of the others, so exactly `drop` channels go. Among
    equal scores the deepest layer goes first, since its channels cost the most parameters (the classifier reads the
    square of the last width), and in a layer the highest index. Refuses as `require_possible` does."""
    require_possible({layer: len(values) for layer, values in scores.items()}, drop, min_channels)
    return without(scores, removal_order(scores, min_channels)[:drop])


def removal_order(scores: Mapping[str, Values], min_channels: Fewest) -> list[Channel]:
    """The channels in the order in which `keep_highest` drops them; those that it always spares are not among them."""
    require_finite(scores)
    remaining = {layer: len(values) for layer, values in scores.items()}
    least = least_widths(remaining, min_channels)
    ranking = sorted(
        (float(score), -depth, -channel, layer)
        for depth, (layer, values) in enumerate(scores.items())
        for channel, score in enumerate(values.tolist())
    )
    order: list[Channel] = []
    for _, _, negative_channel, layer in ranking:
        if remaining[layer] > least[layer]:
            order.append((layer, -negative_channel))
            remaining[layer] -= 1
    return order


def require_finite(scores: Mapping[str, Values]) -> None:
    """Raise ValueError for a score that is NaN or infinite: nothing could be ranked by it."""
    for layer, values in scores.items():
        if not all(map(math.isfinite, values.tolist())):
            raise ValueError(
                f"scores of {layer} are not finite: take another criterion, or a network that has not diverged"
            )


def without(scores: Mapping[str, Values], dropped: Iterable[Channel]) -> ChannelPlan:
    """The plan that keeps all channels but these."""
    gone = set(dropped)
    return ChannelPlan(
        {layer: tuple(i for i in range(len(values)) if (layer, i) not in gone) for layer, values in scores.items()}
    )


def threshold(scores: Mapping[str, Values], plan: ChannelPlan) -> float:
    """The largest score that `plan` drops, 0 if it drops none: the line in the thesis' γ figures (4.2)."""
    kept = {layer: set(channels) for layer, channels in plan.kept.items()}
    dropped = [
        score
        for layer, values in scores.items()
        for channel, score in enumerate(values.tolist())
        if channel not in kept[layer]
    ]
    return max(dropped, default=0.0)


def least_widths(widths: Mapping[str, int], fewest: Fewest) -> dict[str, int]:
    """The fewest channels of each layer; a layer that has fewer keeps all."""
    if isinstance(fewest, int):
        return min_widths(widths, fewest)
    return {layer: min(width, fewest[layer]) for layer, width in widths.items()}
