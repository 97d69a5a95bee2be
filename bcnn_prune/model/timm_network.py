"""A network of timm to train and score beside ours. Its channels cannot be pruned here."""

import timm
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bcnn_prune.model.network import Trainable


class TimmNetwork(Trainable):
    """timm's network called `name`, with its ImageNet weights or fresh ones, and a new classifier behind it.

    Raises ConnectionError where the weights cannot be fetched."""

    def __init__(self, name: str, classes: int, imagenet: bool = False) -> None:
        super().__init__()
        self.name = name
        try:
            self.trunk = timm.create_model(name, pretrained=imagenet, num_classes=0)
        except Exception as error:  # timm and the hub's client raise many unrelated types
            if not imagenet:
                raise
            raise ConnectionError(
                f"--weights imagenet: those of {name} are not on this machine, and the Hugging Face hub does not give "
                "them (is there a network?): take --weights none"
            ) from error
        self.head = nn.Identity()
        self.classifier = nn.Linear(self.trunk.head_hidden_size, classes)  # type: ignore[arg-type]

    @classmethod
    def seeded(cls, name: str, classes: int, seed: int, imagenet: bool = False) -> "TimmNetwork":
        """The network, on the CPU; what is fresh in it follows from the seed alone."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return cls(name, classes, imagenet)

    def forward(self, images: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch classes"]:
        """Logits of normalised images. Also under autocast the classifier runs in fp32, as in ours."""
        features = self.trunk(images)
        with torch.autocast(features.device.type, enabled=False):
            logits: Tensor = self.classifier(self.head(features.to(self.classifier.weight.dtype)))
        return logits

    def macs(self, side: int) -> int:
        """Multiply-adds of one image of side × side pixels by torch's counter, from a twin without weights."""
        with torch.device("meta"):
            twin = TimmNetwork(self.name, self.classifier.out_features).eval()
            with FlopCounterMode(display=False) as counter:
                twin.classifier(twin.trunk(torch.empty(1, 3, side, side)))
        return int(counter.get_total_flops()) // 2
