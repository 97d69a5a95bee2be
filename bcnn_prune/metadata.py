"""The metadata embedded in a model file: enough to run it on an image and to name the class.

Knows no torch: a deployed file is run where only its runtime is installed."""

import json
import math
from dataclasses import dataclass

from bcnn_prune.records.json_file import VersionMismatch, parse, to_fields
from bcnn_prune.spec import ModelSpec

KEY = "bcnn-prune"
"""The entry of a deployed file's metadata."""
VERSION = 1
Colour = tuple[float, float, float]
"""Red, green, blue."""
MEAN = STD = (0.5, 0.5, 0.5)
"""That images are normalised by in training."""


@dataclass(frozen=True)
class ModelCard:
    """The network, its classes in the order of the logits, and the images that it was made for."""

    spec: ModelSpec
    class_names: tuple[str, ...]
    dataset: str
    side: int
    """Pixels; images are resized to side × side without keeping the aspect ratio."""
    mean: Colour = MEAN
    """Of the unit range, red, green, blue. The network normalises pixels itself, with this and `std`."""
    std: Colour = STD
    data_digest: str = ""
    """Of the prepared set, its split included; empty where it is not known."""

    def __post_init__(self) -> None:
        if len(self.class_names) != self.spec.classes:
            raise ValueError(f"{len(self.class_names)} class names for a network of {self.spec.classes} classes")
        if self.side < 1:
            raise ValueError(f"the side is {self.side} pixels")
        if [len(self.mean), len(self.std)] != [3, 3] or not all(0 < value < math.inf for value in self.std):
            raise ValueError(f"mean {self.mean} and std {self.std}: take three numbers each, those of std above 0")
        if self.spec.side not in (None, self.side):
            raise ValueError(f"the side is {self.side} pixels, and the network is for images of {self.spec.side}")


def to_text(card: ModelCard) -> str:
    """One line of ASCII, which passes through any metadata, XML included, unchanged."""
    return json.dumps(to_fields(card, VERSION))


def from_text(text: str) -> ModelCard:
    """The card in a text of `to_text`. Raises ValueError for any other text."""
    try:
        return parse(text, ModelCard, VERSION)
    except VersionMismatch as error:
        raise ValueError(f"its description is of another format: {error}") from error
    except ValueError as error:
        raise ValueError(f"its description is damaged: {error}") from error
