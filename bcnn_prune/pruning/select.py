"""Select channels: scores in, a plan out.

Knows no network, so every criterion is ranked alike; surgery carries the plan out."""

from bisect import bisect_left
from collections.abc import Callable, Mapping

from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.importance import Scores
from bcnn_prune.pruning.ranking import Fewest, keep_highest, least_widths


def keep_widths(scores: Scores, widths: Mapping[str, int]) -> ChannelPlan:
    """Keep so many of each layer's channels, those with the highest scores; among equals those of the lowest index."""
    best = {
        layer: values.sort(descending=True, stable=True).indices[: widths[layer]] for layer, values in scores.items()
    }
    return ChannelPlan({layer: tuple(sorted(channels.tolist())) for layer, channels in best.items()})


def round_widths_up(plan: ChannelPlan, scores: Scores, multiple: int) -> ChannelPlan:
    """`plan` with as many of each layer's best dropped channels back as bring its width to a multiple of `multiple`, or
    to all that the layer has: processors compute so many channels at a time."""
    if multiple < 1 or multiple % 1:
        raise ValueError(f"widths in multiples of {multiple} are none: take 1 to leave them, or 8 or 16")
    kept = {}
    for layer, channels in plan.kept.items():
        if layer not in scores:  # kept whole
            kept[layer] = channels
            continue
        dropped = sorted(set(range(len(scores[layer]))) - set(channels), key=lambda i: (-float(scores[layer][i]), i))
        kept[layer] = tuple(sorted((*channels, *dropped[: -len(channels) % multiple])))
    return ChannelPlan(kept)


def smallest_cut(scores: Scores, min_channels: Fewest, multiple: int, fits: Callable[[ChannelPlan], bool]) -> int:
    """Fewest channels that have to go for what is left to fit; widths are rounded up to `multiple`.

    `fits` must be monotone in the channels that go, as any sum of costs is: cuts of one ranking nest. Raises ValueError
    where not even the largest cut that `min_channels` allow fits."""
    widths = {layer: len(values) for layer, values in scores.items()}
    possible = sum(widths.values()) - sum(least_widths(widths, min_channels).values())

    def fitting(drop: int) -> bool:
        return fits(round_widths_up(keep_highest(scores, drop, min_channels), scores, multiple))

    if not fitting(possible):
        stay = min_channels if isinstance(min_channels, int) else min(min_channels.values())
        raise ValueError(f"cutting all {possible} channels that a floor of {stay} allows is not enough")
    return bisect_left(range(possible), True, key=fitting)


def filled(plan: ChannelPlan, scores: Scores, fits: Callable[[ChannelPlan], bool]) -> ChannelPlan:
    """`plan` with dropped channels back as long as they fit, the highest scores first; a layer of which one does not
    fit gets no more. So a budget that the next cut of a ranking would exceed is met more closely."""
    kept = {layer: set(channels) for layer, channels in plan.kept.items()}
    dropped = sorted(
        (-score, depth, channel, layer)
        for depth, (layer, values) in enumerate(scores.items())
        for channel, score in enumerate(values.tolist())
        if channel not in kept[layer]
    )
    full = set[str]()
    for _, _, channel, layer in dropped:
        if layer in full:
            continue
        wider = ChannelPlan({**plan.kept, layer: tuple(sorted((*plan.kept[layer], channel)))})
        if fits(wider):
            plan = wider
        else:
            full.add(layer)
    return plan
