"""What a file with a network says of itself, in itself: enough to run it on an image and to name what it saw.

Knows no torch: a deployed file is run where only its runtime is installed."""

import json
from dataclasses import dataclass
from typing import Any

import cattrs

from bcnn_prune.spec import ModelSpec

KEY = "bcnn-prune"
"""The entry of a deployed file's metadata."""
VERSION = 1


@dataclass(frozen=True)
class ModelCard:
    """The network, its classes in the order of the logits, and the images that it was made for."""

    spec: ModelSpec
    class_names: tuple[str, ...]
    dataset: str
    side: int
    """Pixels; images are resized to side × side without keeping the aspect ratio."""
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Of the unit range, red, green, blue. The network normalises pixels itself, with this and `std`."""
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        if len(self.class_names) != self.spec.classes:
            raise ValueError(f"{len(self.class_names)} class names for a network of {self.spec.classes} classes")
        if self.side < 1:
            raise ValueError(f"the side is {self.side} pixels")


_converter = cattrs.Converter(forbid_extra_keys=True)


def to_text(about: ModelCard) -> str:
    """One line of ASCII, which passes through any metadata, XML included, unchanged."""
    return json.dumps({"version": VERSION, **_converter.unstructure(about)})


def from_text(text: str) -> ModelCard:
    """What `to_text` wrote. Raises ValueError for any other text."""
    try:
        fields: dict[str, Any] = json.loads(text)
        version = fields.pop("version")
    except (json.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
        raise ValueError("its description is damaged") from error
    if version != VERSION:
        raise ValueError(f"its description has version {version}, this program reads version {VERSION}")
    try:
        return _converter.structure(fields, ModelCard)
    except cattrs.BaseValidationError as error:
        raise ValueError("its description is damaged: " + "; ".join(cattrs.transform_error(error))) from error
