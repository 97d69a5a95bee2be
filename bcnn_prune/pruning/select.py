"""Select channels: scores in, a plan out.

Knows no network, so every criterion is ranked alike; surgery carries the plan out."""

from bisect import bisect_left
from collections.abc import Callable, Sequence

from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.importance import Scores


def require_possible(widths: Sequence[int], drop: int, floor: int) -> None:
    """Raise ValueError, saying how much can go, unless `drop` channels can while `floor` stay in every layer.

    Needs no scores, so that a run can refuse before it trains."""
    if floor < 1:
        raise ValueError(f"the floor is {floor}: every layer needs at least 1 channel")
    if not widths:
        raise ValueError("no layer has scores: take a criterion that this network has scores for")
    total, possible = sum(widths), sum(max(0, width - floor) for width in widths)
    if not 0 <= drop <= possible:
        raise ValueError(
            f"{drop} of {total} channels cannot go while {floor} stay in every layer: "
            f"at most {possible} can ({possible / total:.1%}); prune less, or lower the floor"
        )


def keep_highest(scores: Scores, drop: int, floor: int) -> ChannelPlan:
    """Keep all but the `drop` lowest scores of the whole network, sparing `floor` channels in every layer.

    What the floor spares in one layer is made up by the next lowest scores of the others, so exactly `drop` channels
    go. Among equal scores the deepest layer goes first, since its channels cost the most parameters (the classifier
    reads the square of the last width), and in a layer the highest index. Refuses as `require_possible` does."""
    remaining = {layer: len(values) for layer, values in scores.items()}
    require_possible(tuple(remaining.values()), drop, floor)
    ranking = sorted(
        (float(score), -depth, -channel, layer)
        for depth, (layer, values) in enumerate(scores.items())
        for channel, score in enumerate(values.tolist())
    )
    gone: dict[str, set[int]] = {layer: set() for layer in scores}
    for _, _, negative_channel, layer in ranking:
        if drop == 0:
            break
        if remaining[layer] > floor:
            gone[layer].add(-negative_channel)
            remaining[layer] -= 1
            drop -= 1
    return ChannelPlan(
        {layer: tuple(i for i in range(len(values)) if i not in gone[layer]) for layer, values in scores.items()}
    )


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


def smallest_cut(scores: Scores, floor: int, multiple: int, fits: Callable[[ChannelPlan], bool]) -> int:
    """How many channels have to go, at the least, for what is left to fit; widths are rounded up to `multiple`.

    `fits` must stay true as more goes: cuts of one ranking nest, so any sum of costs does. Raises ValueError where
    not even the largest cut that the floor allows fits."""
    possible = sum(max(0, len(values) - floor) for values in scores.values())

    def fitting(drop: int) -> bool:
        return fits(round_widths_up(keep_highest(scores, drop, floor), scores, multiple))

    if not fitting(possible):
        raise ValueError(f"cutting all {possible} channels that a floor of {floor} allows is not enough")
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
