"""Recipes refuse numbers by which nothing sensible is trained."""

import math
from dataclasses import replace

import pytest

from bcnn_prune.records import Augmentation, Recipe

RECIPE = Recipe(epochs=2, learning_rate=0.01, batch=8, schedule="plateau", augment=Augmentation())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 1.5}, "epochs is 1.5: take a whole number"),
        ({"patience": -1}, "patience is -1: take zero or more"),
        ({"decay": 2}, "decay is 2: take more than 0 and less than 1"),
        ({"lowest_rate": float("nan")}, "lowest_rate is nan: take zero or more"),
    ],
)
def test_numbers_that_train_nothing_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(RECIPE, **settings)


@pytest.mark.parametrize(
    "settings", [{"zoom": 1}, {"zoom": math.nan}, {"colour": 1.5}, {"shift": -0.1}, {"rotation": math.inf}]
)
def test_an_augmentation_that_leaves_no_image_is_refused(settings: dict[str, float]) -> None:
    (name,) = settings
    with pytest.raises(ValueError, match=f"{name} is .*: take 0 or more"):
        Augmentation(**settings)  # type: ignore[arg-type]
