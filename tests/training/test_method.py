"""METHOD tells cached phases apart: it must rise when the same phase ends otherwise."""

from dataclasses import replace

import pytest
from safetensors.torch import load_file, safe_open

from bcnn_prune.phase import METHOD
from bcnn_prune.records import Recipe
from tests.training.make_golden import GOLDEN, RECIPE, golden, golden_augmentation, golden_run

# In float64 other processors' rounding comes to some 1e-13, in the float32 of augmented images to 1e-6.
TOLERANCE = 1e-5


def test_a_run_that_ends_otherwise_has_another_method() -> None:
    with safe_open(GOLDEN, "pt") as file:
        method = file.metadata()["method"]
    assert str(METHOD) == method, "METHOD was raised: make the golden run again by python -m tests.training.make_golden"
    kept = load_file(GOLDEN)
    for name, tensor in golden().items():
        difference = float((tensor.double() - kept[name].double()).abs().max())
        assert difference <= TOLERANCE, f"{name} differs by {difference:.1e}: raise METHOD in bcnn_prune/phase.py"


@pytest.mark.parametrize(
    "changed",
    [
        replace(RECIPE, weight_decay=1.1 * RECIPE.weight_decay),
        replace(RECIPE, sparsity=1.1 * RECIPE.sparsity),
        replace(RECIPE, momentum=0.89),
        replace(RECIPE, augment=replace(RECIPE.augment, rotation=11.0)),
    ],
    ids=["weight decay", "sparsity", "momentum", "rotation"],
)
def test_a_tenth_more_of_anything_shows(changed: Recipe) -> None:
    kept, state = load_file(GOLDEN), golden_run(changed)
    images = (kept["augmentation/images"] - golden_augmentation(changed)).abs().max()
    weights = max(float((kept[f"subgradient/{name}"] - tensor).abs().max()) for name, tensor in state.items())
    assert max(weights, float(images)) > 10 * TOLERANCE
