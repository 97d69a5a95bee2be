"""The bilinear CNN: a trunk, a head on its feature map, and a linear classifier (thesis 3.2)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bcnn_prune.layers import Step, lines_of
from bcnn_prune.model.modules import sequence
from bcnn_prune.spec import CLASSIFIER, ModelSpec


@contextmanager
def forward_hook(
    module: nn.Module, hook: Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor | None]
) -> Iterator[None]:
    """`module` with a forward hook, which is removed at the end."""
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def evaluating(*models: nn.Module) -> Iterator[None]:
    """The models in evaluation mode; at the end each of their modules is in the mode that it was in."""
    with modes_kept(*models):
        for model in models:
            model.eval()
        yield


@contextmanager
def modes_kept(*models: nn.Module) -> Iterator[None]:
    """At the end each module of the models is in the mode that it was in, training or evaluation."""
    modes = {module: module.training for model in models for module in model.modules()}
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


class Trainable(nn.Module):
    """What can be trained and scored: a trunk, a head on its features, and a linear classifier."""

    trunk: nn.Module
    head: nn.Module
    classifier: nn.Linear

    @property
    def norms(self) -> dict[str, nn.BatchNorm2d]:
        """The BatchNorms whose γ gates prunable channels, by the layer that makes these."""
        return {}

    @property
    def device(self) -> torch.device:
        return self.classifier.weight.device

    def macs(self, side: int) -> int:
        """Multiply-adds of one image of side × side pixels."""
        raise NotImplementedError


class LayerStack(Trainable):
    """The layers of `spec` as modules: "trunk", "head" (pooling and hidden dense layers) and "classifier"."""

    trunk: nn.Sequential
    head: nn.Sequential

    def __init__(self, spec: ModelSpec, folded: bool = False) -> None:
        super().__init__()
        self.spec = spec
        self.steps: tuple[Step, ...] = tuple(spec.steps(folded=folded))
        *others, last = self.steps
        self.trunk = sequence(step for step in others if step.name in spec.trunk)
        self.head = sequence(step for step in others if step.name not in spec.trunk)
        self.classifier = nn.Linear(last.x.size, last.y.channels)

    def layer(self, name: str) -> nn.Module:
        """The module of the layer called `name`."""
        if name == CLASSIFIER:
            return self.classifier
        return (self.trunk if name in self.spec.trunk else self.head).get_submodule(name)

    def macs(self, side: int) -> int:
        return sum(line.macs for line in lines_of(self.spec.steps(side)).values())

    def forward(self, images: Float[Tensor, "batch colours h w"]) -> Float[Tensor, "batch classes"]:
        """Logits of normalised images. Their side is `spec.side` where that is set, else any that the pools allow.

        A network for one image channel takes the mean of three."""
        if self.spec.image_channels == 1 < images.shape[1]:
            images = images.mean(1, keepdim=True)
        features = self.trunk(images)
        # Also under autocast the head runs in fp32: the pooled product overflows fp16, and bf16 has too few digits.
        with torch.autocast(features.device.type, enabled=False):
            logits: Tensor = self.classifier(self.head(features.to(self.classifier.weight.dtype)))
        return logits


class BilinearCNN(LayerStack):
    """`spec` made of tensors, to train, prune and save."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)

    @property
    def prunable(self) -> dict[str, nn.Conv2d | nn.Linear]:
        """The convolutions and hidden dense layers whose channels can be pruned, by name, in order."""
        return {name: self.layer(name) for name in self.spec.layers}  # type: ignore[misc]

    @property
    def norms(self) -> dict[str, nn.BatchNorm2d]:
        """The last BatchNorm that a layer's channels pass, by the layer that makes them; layers without are left out.

        It gates its channels: where its γ and β are zero, nothing of a channel is left but what the bias of a depthwise
        convolution behind it adds. A VGG's convolution has one
        BatchNorm; a MobileNet's pointwise convolution has its own and that of the depthwise one behind it."""
        norms = {}
        for step in self.steps:
            if isinstance(module := self.layer(step.name), nn.BatchNorm2d):
                norms[step.y.maker] = module
        return norms
