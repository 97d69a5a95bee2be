"""Settings of small runs: a set of three colours, and first weights that classify them.

So every phase has its best accuracy from the first epoch to the last, whatever the processor's rounding, and no run
aborts because it has not learned. The thesis' recipe for aircraft has the small learning rate that preserves it. L1
takes the BN scales of spare channels to zero in a few epochs, and not those of the channels that the network needs."""

import os
from pathlib import Path
from typing import Any, Literal

from bcnn_prune.spec import ModelSpec
from tests.helpers.small_networks import write_first_weights
from tests.helpers.small_sets import colours

SET = "drawn-aircraft3"
TRUNK: Literal["fp32", "bf16"] = "bf16" if os.environ.get("TESTS_TRUNK") == "bf16" else "fp32"
"""The number format that tests train in: never what the processor likes best, or each machine would test another."""
RECIPE: dict[str, Any] = {
    "recipe": "thesis",
    "classifier_epochs": 0,
    "batch": 16,
    "sparsity": 0.1,
    "update": "proximal",
    "precision": TRUNK,
}
BACKBONE, WIDTH = "vgg11", 0.06


def prepare(folder: Path, side: int = 16, width: float = WIDTH) -> None:
    """Write the set and the first weights to `folder`."""
    data = folder / "set.h5"
    info = colours(data, SET, side)
    write_first_weights(_weights(folder), ModelSpec.of(BACKBONE, info.classes, width), data)


def settings_for(folder: Path, **changes: Any) -> dict[str, Any]:
    """The settings of a flow that trains on what `prepare` wrote."""
    where = {"dataset": SET, "data": folder / "set.h5", "weights": str(_weights(folder))}
    return {**where, "backbone": BACKBONE, "width": WIDTH, **RECIPE, **changes}


def as_arguments(settings: dict[str, Any]) -> list[str]:
    """Settings as they are typed."""
    words = []
    for name, value in settings.items():
        option = name.replace("_", "-")
        words += [f"--{'' if value else 'no-'}{option}"] if isinstance(value, bool) else [f"--{option}", str(value)]
    return words


def _weights(folder: Path) -> Path:
    return folder / "first.safetensors"
