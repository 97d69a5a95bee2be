"""The shape of a network in plain values, from which its layers are derived.

Knows no torch: cost, plans and tables are arithmetic on it."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest

from bcnn_prune.backbones import BACKBONES, Backbone
from bcnn_prune.forms import DENSE, formed, has_width
from bcnn_prune.heads import HEADS, Head, reduction
from bcnn_prune.layers import Dropout, Layer, Layers, Linear, MaxPool, Norm, ReLU, Step, blocks, steps

CLASSIFIER = "classifier"
"""Name of the last layer, the only one with channels that are never pruned."""


@dataclass(frozen=True)
class ModelSpec:
    """A backbone under a head, hidden dense layers and a linear classifier (thesis 3.2: VGG-16 under "bilinear").

    `widths` holds the output channels of every prunable layer in order: those of the backbone, of the head's 1 × 1
    reduction where it has one, and of the hidden dense layers, however many follow. But for the head "flatten" the
    last max-pool of a backbone is left out, as the BCNN does. Without BatchNorm a network is trained as it is (thesis,
    table 4.3)."""

    backbone: str
    widths: tuple[int, ...]
    classes: int
    head: str = "bilinear"
    batch_norm: bool = True
    image_channels: int = 3
    side: int | None = None
    """Pixels of the images, where the size of the first dense layer depends on it: the head "flatten"."""
    forms: tuple[str, ...] = ()
    """One of FORMS for each prunable layer of the network as published, in order, and for the classifier; empty: all as
    they are. Where the two layers of a form have a width between them, it precedes the layer's own in `widths`."""

    def __post_init__(self) -> None:
        for name in ("widths", "forms"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # of a list, too
        known = require_backbone(self.backbone)
        require_head(self.head)
        if self.forms and len(self.widths) != len(self.forms) - 1 + sum(map(has_width, self.forms)):
            raise ValueError(f"{len(self.forms)} forms do not fit {len(self.widths)} widths")
        if len(self.widths) < self.convolutions:
            raise ValueError(
                f"{self.backbone} under {self.head} has {self.convolutions} convolutions, not {len(self.widths)}"
            )
        if self.classes < 2:
            raise ValueError(f"a classifier tells at least 2 classes apart, not {self.classes}")
        if min(self.widths) < 1:
            published = known.trunk(iter(known.widths), self.batch_norm)
            names = dict(enumerate(name for name, layer in published.items() if layer.makes))
            empty = self.widths.index(min(self.widths))
            raise ValueError(f"every layer needs a channel: {names.get(empty, f'layer {empty + 1}')} has none")
        if self.parts.flattens != (self.side is not None):
            raise ValueError(f"the head {self.head} needs {'a' if self.parts.flattens else 'no'} side of the images")
        for layer, count in self.blocks.items():
            channels = self.width_of.get(layer, self.image_channels)
            if channels % count:
                raise ValueError(f"{layer} has {channels} channels, which {count} groups cannot share")
        self.require_side(None)

    @classmethod
    def of(
        cls,
        backbone: str,
        classes: int,
        width: float = 1.0,
        head: str = "bilinear",
        *,
        batch_norm: bool | None = None,
        reduce_to: int = 64,
        side: int | None = None,
    ) -> "ModelSpec":
        """The unpruned network, every layer `width` times as wide as published (rounded, at least one channel).

        BatchNorm is as published where it is not said. `reduce_to` channels are pooled under a head with a reduction.
        `side` in pixels counts for the head "flatten" alone, as published where it is not said. Raises ValueError."""
        known, parts = require_backbone(backbone), require_head(head)
        if not 0 < width < float("inf"):
            raise ValueError(f"width {width} leaves no channel: take a positive factor, 1 for the published network")
        if reduce_to < 1:
            raise ValueError(f"a reduction to {reduce_to} channels leaves none: take 1 or more")
        widths, hidden = (
            [max(1, round(published * width)) for published in layers] for layers in (known.widths, known.hidden)
        )
        return cls(
            backbone,
            (*widths, *[reduce_to] * parts.reduces, *(hidden if parts.flattens else ())),
            classes,
            head,
            known.batch_norm if batch_norm is None else batch_norm,
            known.image_channels,
            (known.side if side is None else side) if parts.flattens else None,
        )

    def with_forms(self, forms: Mapping[str, tuple[str, int]]) -> "ModelSpec":
        """This network, in which the layers named, "classifier" among them, have a form and so many channels between
        its two layers. Raises ValueError for a form that a layer cannot have."""
        if self.forms or not {*self.layers, CLASSIFIER}.issuperset(forms):
            raise ValueError("forms are of layers that have none yet: start from a network as it is")
        chosen = [forms.get(name, (DENSE, 0)) for name in (*self.layers, CLASSIFIER)]
        widths: list[int] = []
        for (form, between), own in zip_longest(chosen, self.widths):
            widths += [between] * has_width(form) + ([] if own is None else [own])
        return replace(self, widths=tuple(widths), forms=tuple(form for form, _ in chosen))

    @cached_property
    def plain(self) -> "ModelSpec":
        """The same network with every layer as it is."""
        if not self.forms:
            return self
        left = iter(self.widths)
        own = [[next(left) for _ in range(1 + has_width(form))][-1] for form in self.forms[:-1]]
        return replace(self, widths=tuple(own), forms=())

    @property
    def bare(self) -> "ModelSpec":
        """The same backbone without reduction and hidden layers, under an average."""
        convolutions = self.plain.widths[: len(BACKBONES[self.backbone].widths)]
        return replace(self.plain, widths=convolutions, head="average", side=None)

    @property
    def title(self) -> str:
        """Its name in a sentence: VGG-16 BCNN, mobilenet with reduced head."""
        name = self.backbone_title
        return f"{name} BCNN" if self.head == "bilinear" else f"{name} with {self.head} head"

    @property
    def backbone_title(self) -> str:
        """The backbone's name in a sentence: VGG-16, mobilenet."""
        return self.backbone.replace("vgg", "VGG-") if self.backbone.startswith("vgg") else self.backbone

    @property
    def parts(self) -> Head:
        """The layers of its head."""
        return HEADS[self.head]

    @property
    def convolutions(self) -> int:
        """Number of prunable layers in front of the pooling: those of the backbone, and the head's reduction; two of a
        form that has a width."""
        count = len(BACKBONES[self.backbone].widths) + self.parts.reduces
        return count + sum(map(has_width, self.forms[:count]))

    @cached_property
    def trunk(self) -> Layers:
        """The layers whose maps the head pools, by name."""
        if self.forms:
            return self._formed(self.plain.trunk)
        known = BACKBONES[self.backbone]
        layers = known.trunk(iter(self.widths[: len(known.widths)]), self.batch_norm)
        if not self.parts.flattens:
            while isinstance(layers[last := next(reversed(layers))], MaxPool | Dropout):
                del layers[last]
        if not self.parts.reduces:
            return layers
        return layers | reduction(self.widths[len(known.widths)], self.batch_norm, self.parts.rectifies)

    @cached_property
    def dense(self) -> Layers:
        """The layers behind the pooling: hidden dense layers, and the classifier."""
        if self.forms:
            return self._formed(self.plain.dense)
        layers: Layers = {}
        rate = BACKBONES[self.backbone].dropout
        for i, width in enumerate(self.widths[self.convolutions :], 1):
            layers |= {f"fc{i}": Linear(width), f"relu_fc{i}": ReLU()}
            if rate:
                layers[f"drop_fc{i}"] = Dropout(rate=rate)
        return {**layers, CLASSIFIER: Linear(self.classes)}

    @cached_property
    def architecture(self) -> Layers:
        """All layers by name, in order."""
        return {**self.trunk, **self.parts.pool, **self.dense}

    @cached_property
    def folded(self) -> Layers:
        """The layers of the network folded for inference, which computes the same logits: BatchNorm is folded into the
        convolution before it, dropout is gone, and symmetric pairs of channels are handed on once."""
        layers = {**self.trunk, **self.parts.pool, **self.parts.folded, **self.dense}
        behind = dict(zip(layers, [*list(layers.values())[1:], None], strict=True))
        return {
            name: replace(layer, **({"bias": True} if isinstance(behind[name], Norm) else {}))
            for name, layer in layers.items()
            if not isinstance(layer, Norm | Dropout)
        }

    def steps(self, side: int | None = None, folded: bool = False) -> Iterator[Step]:
        """The layers in order, for images of `side` pixels.

        Raises ValueError for another side than that of a network whose dense layers depend on it."""
        if side is not None and side < 1:
            raise ValueError(f"images of {side} px have no pixel: take 1 or more")
        if self.side is not None and side not in (None, self.side):
            raise ValueError(f"the dense layers of this network are for images of {self.side} px, not {side}")
        layers: Mapping[str, Layer] = self.folded if folded else self.architecture
        return steps(layers, side or self.side or BACKBONES[self.backbone].side, self.image_channels)

    def require_side(self, side: int | None) -> None:
        """Raise ValueError where images of `side` pixels, the published ones if None, cannot pass all layers."""
        deque(self.steps(side), maxlen=0)

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Names of the prunable layers, in the order of `widths`: conv1_1 … conv5_3 of VGG-16."""
        return tuple(name for name, layer in self.architecture.items() if layer.makes and name != CLASSIFIER)

    @cached_property
    def width_of(self) -> dict[str, int]:
        """Output channels by name of the prunable layer."""
        return dict(zip(self.layers, self.widths, strict=True))

    @cached_property
    def gated(self) -> tuple[str, ...]:
        """Those of `layers` whose channels pass a BatchNorm, which alone have scales."""
        makers = {step.y.maker for step in self.steps() if isinstance(step.layer, Norm)}
        return tuple(layer for layer in self.layers if layer in makers)

    @cached_property
    def blocks(self) -> dict[str, int]:
        """In how many blocks a layer's channels lie that a grouped convolution makes or reads."""
        return blocks(self.architecture)

    @property
    def pooled(self) -> str:
        """The layer whose channels the head pools."""
        return self.layers[self.convolutions - 1]

    @property
    def features(self) -> int:
        """Inputs of the first dense layer."""
        return next(step.x.size for step in self.steps() if step.name == next(iter(self.dense)))

    @property
    def channels(self) -> int:
        """All prunable channels (4,224 for VGG-16, with one BatchNorm scale each)."""
        return sum(self.widths)

    def _formed(self, layers: Layers) -> Layers:
        left, forms = iter(self.widths), {}
        for name, form in zip((*self.plain.layers, CLASSIFIER), self.forms, strict=True):
            forms[name] = form, next(left) if has_width(form) else 0
            next(left, None)
        parts = (formed(name, layer, *forms.get(name, (DENSE, 0))) for name, layer in layers.items())
        return {name: layer for part in parts for name, layer in part.items()}

    def require_batch_norm(self, what: str, instead: str) -> None:
        """Raise ValueError where there is no BatchNorm, naming what needs it and what to take instead."""
        if not self.batch_norm:
            raise ValueError(f"{what} needs BatchNorm, and this network has none: take {instead}")


def require_backbone(name: str) -> Backbone:
    """The backbone of this name. Raises ValueError that lists those there are."""
    if name not in BACKBONES:
        raise ValueError(f"no backbone {name}: take one of {', '.join(BACKBONES)}")
    return BACKBONES[name]


def require_head(name: str) -> Head:
    """The head of this name. Raises ValueError that lists those there are."""
    if name not in HEADS:
        raise ValueError(f"no head {name}: take {', '.join(HEADS)}")
    return HEADS[name]
