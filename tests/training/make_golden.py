"""A golden training run: what `METHOD` in bcnn_prune/phase.py stands for, kept as weights.

    python -m tests.training.make_golden

writes golden.safetensors beside this file. Run it after raising METHOD, and only then: cached phases of the same METHOD
are reused. A phase that would end otherwise under the same number would be mixed with older ones."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from bcnn_prune.data.augment import augmented
from bcnn_prune.data.batches import ImageSplit
from bcnn_prune.evaluation.accuracy import evaluate
from bcnn_prune.model.checkpoint import write_tensors
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.phase import METHOD
from bcnn_prune.pruning.soft import SoftPruning
from bcnn_prune.pruning.sparsity import ScaleL1
from bcnn_prune.records import Augmentation, Evaluation, Recipe, SoftPruningSchedule
from bcnn_prune.spec import ModelSpec
from bcnn_prune.training.fit import fit
from tests.training.test_fit import Memory, Silent

GOLDEN = Path(__file__).with_name("golden.safetensors")
SPEC = ModelSpec("vgg11", (3, 3, 3, 4, 4, 4, 4, 4), classes=3)
RECIPE = Recipe(
    epochs=2,
    learning_rate=1e-2,
    batch=4,
    schedule="cosine",
    augment=Augmentation(rotation=10.0, shift=0.1, zoom=0.1, colour=0.2),
    classifier_rate=10.0,
    weight_decay=5e-2,
    sparsity=1e-2,
    last_sparsity=5e-2,
    keep="last",
)


def golden_run(recipe: Recipe, soft: bool = False) -> dict[str, Tensor]:
    """The weights after two epochs of three steps, in float64: there no processor's rounding turns a ReLU or a pool."""
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(12, 3, 32, 32, generator=generator, dtype=torch.float64) * 2 - 1
    split = ImageSplit(images, torch.arange(12) % 3)  # floating-point images are not augmented
    model = BilinearCNN(SPEC).double()
    for parameter in model.parameters():  # even draws are the same on every processor, normal ones are not
        parameter.data = torch.rand(parameter.shape, generator=generator, dtype=torch.float64) - 0.4
    l1 = ScaleL1.of(model, recipe)

    def validate(network: BilinearCNN) -> Evaluation:
        return evaluate(network, split)

    penalty = SoftPruning(model, l1, SoftPruningSchedule(6, 1), validate) if soft else l1
    fit(model, split, recipe, penalty, validate, torch.Generator().manual_seed(7), Silent(), Memory())
    return {name: tensor for name, tensor in model.state_dict().items() if tensor.ndim}


def golden_augmentation(recipe: Recipe) -> Tensor:
    """Images as an epoch sees them."""
    generator = torch.Generator().manual_seed(11)
    pixels = torch.randint(256, (4, 3, 8, 8), generator=generator, dtype=torch.uint8)
    return augmented(pixels, recipe.augment, generator)


def golden() -> dict[str, Tensor]:
    """Both updates of L1, soft pruning and augmentation, in one mapping."""
    runs = {
        "subgradient": golden_run(RECIPE),
        "proximal": golden_run(replace(RECIPE, update="proximal")),
        "soft": golden_run(RECIPE, soft=True),
        "augmentation": {"images": golden_augmentation(RECIPE)},
    }
    return {f"{run}/{name}": tensor for run, state in runs.items() for name, tensor in state.items()}


if __name__ == "__main__":
    write_tensors(GOLDEN, golden(), {"method": str(METHOD)})
    print(f"METHOD {METHOD}: {GOLDEN}")
