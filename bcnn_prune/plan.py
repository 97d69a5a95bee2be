"""The channels that stay: the one value that passes from selection to surgery."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from bcnn_prune.spec import ModelSpec


@dataclass(frozen=True)
class ChannelPlan:
    """The kept output channels of every layer, ascending, none empty, as numbered before surgery."""

    kept: Mapping[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "kept", {layer: tuple(channels) for layer, channels in self.kept.items()})
        for layer, channels in self.kept.items():
            if not channels:
                raise ValueError(f"the plan empties {layer}: prune less, or raise the floor")
            if channels[0] < 0 or any(a >= b for a, b in pairwise(channels)):
                raise ValueError(f"the kept channels of {layer} must be ascending, without repeats, from 0 up")

    @classmethod
    def keep_all(cls, spec: ModelSpec) -> "ChannelPlan":
        """The plan that changes nothing."""
        return cls({layer: tuple(range(width)) for layer, width in spec.width_of.items()})

    def completed(self, spec: ModelSpec) -> "ChannelPlan":
        """This plan for all of `spec`: layers that it does not name keep all their channels, and of a layer in blocks,
        as a grouped convolution has, a place stays in every block where it stays in one."""
        kept = {layer: self.kept.get(layer, tuple(range(width))) for layer, width in spec.width_of.items()}
        ChannelPlan(kept)._check_has(spec)
        for layer, count in spec.blocks.items():
            size = spec.width_of[layer] // count
            places = sorted({channel % size for channel in kept[layer]})
            kept[layer] = tuple(i * size + place for i in range(count) for place in places)
        return ChannelPlan({**self.kept, **kept})

    def narrow(self, spec: ModelSpec) -> ModelSpec:
        """The shape of `spec` after surgery. Refuses a plan made for another network."""
        self._check_fits(spec)
        return replace(spec, widths=tuple(len(self.kept[layer]) for layer in spec.layers))

    def require_leads(self, spec: ModelSpec, narrowed: ModelSpec) -> None:
        """Raise ValueError unless surgery on `spec` gives `narrowed`."""
        if self.narrow(spec) != narrowed:
            raise ValueError("the plan does not lead from the unpruned network to this one")

    def then(self, after: "ChannelPlan") -> "ChannelPlan":
        """This plan followed by one made for the network it leaves, as one plan in the original numbering."""
        if set(after.kept) != set(self.kept):
            raise ValueError("the second plan names other layers than the first")
        for layer, channels in after.kept.items():
            if channels[-1] >= len(self.kept[layer]):
                raise ValueError(
                    f"the second plan keeps channel {channels[-1]} of {layer}, which has {len(self.kept[layer])}"
                )
        return ChannelPlan({layer: tuple(self.kept[layer][i] for i in after.kept[layer]) for layer in self.kept})

    def dropped(self, spec: ModelSpec) -> dict[str, tuple[int, ...]]:
        """The channels of `spec` that the plan does not keep, by layer, ascending."""
        self._check_fits(spec)
        return {
            layer: tuple(sorted(set(range(width)) - set(self.kept[layer]))) for layer, width in spec.width_of.items()
        }

    def _check_fits(self, spec: ModelSpec) -> None:
        if unlike := set(self.kept) ^ set(spec.layers):
            layer = min(unlike)
            has, lacks = ("plan", "network") if layer in self.kept else ("network", "plan")
            raise ValueError(f"the plan is for another network: the {has} has a layer {layer}, the {lacks} does not")
        self._check_has(spec)
        for layer, count in spec.blocks.items():
            size = spec.width_of[layer] // count
            places = [{i % size for i in self.kept[layer] if i // size == at} for at in range(count)]
            if any(block != places[0] for block in places):
                raise ValueError(f"a grouped convolution needs the same channels in each of {count} blocks of {layer}")

    def _check_has(self, spec: ModelSpec) -> None:
        """Raise ValueError for a channel that its layer does not have."""
        for layer, width in spec.width_of.items():
            if self.kept[layer][-1] >= width:
                raise ValueError(f"the plan keeps channel {self.kept[layer][-1]} of {layer}, which has {width}")
