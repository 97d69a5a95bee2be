"""A runtime: a function from pixels to logits on the CPU, whatever computes it. Imports nothing of deployment."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from bcnn_prune.metadata import ModelCard, from_text

Pixels = UInt8[np.ndarray, "batch side side 3"]
"""RGB as decoded."""
Logits = Float32[np.ndarray, "batch classes"]
Runtime = Callable[[Pixels], Logits]


class Unsupported(ValueError):
    """This processor cannot compute in the number format that is asked for."""


@dataclass(frozen=True)
class LoadedModel:
    """A network ready to run on the CPU, and its description."""

    run: Runtime
    card: ModelCard


@dataclass(frozen=True)
class Operation:
    """An operation of a forward pass, as a runtime that profiles itself reports it."""

    kind: str
    """In the runtime's own words: QLinearConv, Convolution."""
    ms: float
    """Milliseconds of the fastest of several passes: other work only adds to it."""


Opener = Callable[[Path, int], LoadedModel]
"""Open a file, to run with so many threads. Raises ValueError that names the file, or the package that is missing."""


def require_finite(logits: Logits, whose: str) -> None:
    """Raise ValueError, with `whose` they are, for logits that are not finite."""
    if not np.isfinite(logits).all():
        raise ValueError(
            f"{whose} are not finite: the network's training diverged, or its file is damaged; take another"
        )


def card_of(path: Path, text: str | None) -> ModelCard:
    """The description in a deployed file's metadata. Raises ValueError that names the file."""
    if text is None:
        raise ValueError(f"{path} is no deployed network of this project: it does not say what it is")
    try:
        return from_text(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
