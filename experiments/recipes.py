"""Every number of a run, with its source."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from bcnn_prune.datasets import OFFICIAL, SYNTHETIC_CLASSES
from bcnn_prune.records import Augmentation, DatasetInfo, Distillation, Recipe


@dataclass(frozen=True)
class Recipes:
    """The phases of a run and the network they are meant for. `dense` comes first, `sparse` goes on from it."""

    dense: Recipe
    sparse: Recipe
    fine_tune: Recipe
    soft: Recipe
    """Training on from the sparse network while channels are zeroed; no fine-tuning comes after."""
    heavier: float
    """λ of the last BN in table 4.7."""
    width: float
    """Channels of every layer as a multiple of VGG's."""
    weights: str
    """Initial weights: imagenet, tiny (bcnn_prune/weights), none, or a file."""
    classifier: Recipe | None
    """The classifier alone, before `dense`, on a pretrained trunk; None where training starts from fresh weights."""

    def as_long(self, tuning: int) -> Recipe:
        """One dense phase of as many epochs as the dense phase, the sparse one and `tuning` epochs after a cut."""
        return replace(self.dense, epochs=self.dense.epochs + self.sparse.epochs + tuning)


def base_recipes(recipes: Recipes) -> dict[str, Recipe]:
    """The phases up to the first cut, by name, in order."""
    first = {} if recipes.classifier is None else {"classifier": recipes.classifier}
    return {**first, "dense": recipes.dense, "sparse": recipes.sparse}


# Thesis 3.1: rotation of ±15° and a horizontal flip. Thesis table 4.2: batch 48, Nesterov momentum 0.9, weight decay
# 1e-5, rate × 0.1 on a plateau of 30 epochs, L1 of 1e-4 that stays on in fine-tuning; 200 epochs is where its base
# runs end. The dense phase is ours: the thesis trains with L1 from the start.
_THESIS_DENSE = Recipe(
    epochs=60,
    learning_rate=1e-2,
    batch=48,
    schedule="plateau",
    augment=Augmentation(rotation=15),
)
# The sparse phase keeps its last epoch, not the best: it starts from a trained network, so an early epoch, which has
# not had the L1 that the phase is for, may be the best on val.
_THESIS_SPARSE = replace(_THESIS_DENSE, epochs=200, sparsity=1e-4, last_sparsity=1e-4, keep="last")
_THESIS_FINE_TUNE = replace(_THESIS_SPARSE, epochs=100, keep="best")
_THESIS_SOFT = replace(_THESIS_SPARSE, decay=0.5, keep="best")  # soft pruning halves the rate on a plateau
# Lin et al. 2015 train the last layer first, then all: a fresh classifier would send its noise into a trained trunk.
# At a rate of 1 and without decay, whatever the rate of what follows: the features are unit vectors of C² entries.
_CLASSIFIER = replace(
    _THESIS_DENSE,
    epochs=3,
    learning_rate=1e-2,
    schedule="cosine",
    classifier_rate=100,
    classifier_weight_decay=0,
    trains="classifier",
)
_THESIS = Recipes(
    _THESIS_DENSE,
    _THESIS_SPARSE,
    _THESIS_FINE_TUNE,
    _THESIS_SOFT,
    heavier=1e-3,
    width=1.0,
    weights="imagenet",
    classifier=_CLASSIFIER,
)


# T and w of distillation after a cut: those of Tian, Krishnan and Isola 2020 (their code's --kd_T 4 -r 0.1 -a 0.9).
# Others take T of 2 to 4 and w of 0.5 to 0.9. Of 280 val images of aircraft20 they gave 190, T = 2 186, w = 0.5 183.
DISTILLATION = Distillation(temperature=4, weight=0.9)


def thesis_fine_tuning(share: float) -> int:
    """Epochs of fine-tuning after `share` of the channels went: 50 for each 20 % (50/100/150/200, thesis table 4.2)."""
    return 50 * max(1, math.ceil(round(share / 0.2, 6)))


# Cars at ten times the rate of the other two, with a last penalty half as heavy (thesis table 4.2).
_THESIS_CARS = replace(
    _THESIS,
    dense=replace(_THESIS.dense, learning_rate=1e-1),
    sparse=replace(_THESIS.sparse, learning_rate=1e-1),
    fine_tune=replace(_THESIS.fine_tune, learning_rate=1e-1),
    soft=replace(_THESIS.soft, learning_rate=1e-1),
    heavier=5e-4,
)

# From scratch at a quarter of the width, chosen on the val split of the synthetic sets. The features are unit vectors
# of C² entries, so the classifier needs a far larger rate than the trunk, and no decay. λ is a hundred
# times the thesis': the reach λ·Σlr/(1 - momentum) over these few steps must exceed the 0.5 that scales start from.
_DRAWN_DENSE = Recipe(
    epochs=20,
    learning_rate=2e-2,
    batch=16,
    schedule="cosine",
    augment=Augmentation(rotation=10, shift=0.08, zoom=0.1, colour=0.2),
    weight_decay=5e-4,
    classifier_rate=100,
    classifier_weight_decay=0,
)
# Here, too, the sparse phase keeps its last epoch.
_DRAWN_SPARSE = replace(
    _DRAWN_DENSE, epochs=15, learning_rate=3e-2, sparsity=1e-2, last_sparsity=1e-2, update="proximal", keep="last"
)
_DRAWN_FINE_TUNE = replace(_DRAWN_DENSE, epochs=3, learning_rate=5e-3)  # at 1e-2 val fell to 0.6 in the first epoch
_DRAWN_SOFT = replace(_DRAWN_FINE_TUNE, epochs=6)
_DRAWN = Recipes(
    _DRAWN_DENSE,
    _DRAWN_SPARSE,
    _DRAWN_FINE_TUNE,
    _DRAWN_SOFT,
    heavier=5e-2,
    width=0.25,
    weights="none",
    classifier=replace(_CLASSIFIER, batch=16, augment=_DRAWN_DENSE.augment),
)

# 50 classes, on which the classifier is half the network and accuracy has room on both sides: fewer epochs, each of two
# and a half times the images, and half the L1, which leaves a third of the channels near zero. Five times as heavy on
# the last layer, as in the thesis' cars.
_DRAWN_MANY = Recipes(
    replace(_DRAWN_DENSE, epochs=12),
    replace(_DRAWN_SPARSE, epochs=8, sparsity=5e-3, last_sparsity=5e-3),
    replace(_DRAWN_FINE_TUNE, epochs=2),
    replace(_DRAWN_SOFT, epochs=6),
    heavier=2.5e-2,
    width=0.25,
    weights="none",
    classifier=_DRAWN.classifier,
)

# Subsets of real sets, from scratch and in minutes: the synthetic sets' with longer phases, as photographs are harder,
# with more change to each image, since there are some twenty of a class, and with a weaker L1.
_SMALL_AUGMENT = Augmentation(rotation=15, shift=0.1, zoom=0.15, colour=0.3)
_SMALL_FRESH_DENSE = replace(_DRAWN_DENSE, epochs=40, augment=_SMALL_AUGMENT)
_SMALL_FRESH = Recipes(
    dense=_SMALL_FRESH_DENSE,
    sparse=replace(
        _DRAWN_SPARSE,
        epochs=20,
        learning_rate=2e-2,
        augment=_SMALL_AUGMENT,
        sparsity=4e-3,  # with 1e-2, nine tenths of the scales died and the network with them (50 cars, val)
        last_sparsity=4e-3,
    ),
    fine_tune=replace(_SMALL_FRESH_DENSE, epochs=6, learning_rate=2e-3),  # 1e-2 undid what training had reached
    soft=replace(_SMALL_FRESH_DENSE, epochs=12, learning_rate=2e-3),
    heavier=2e-2,
    width=0.25,
    weights="none",
    classifier=None,
)
# The same sets from a pretrained trunk: half the epochs, for there is less to learn. The rest was chosen on val, three
# trials a number on each of aircraft20, birds50 and cars50 (results/README.md). Of 427 images, rates of 5e-3, 1e-2 and
# 2e-2 gave 226, 237 and 225 after the dense phase. λ of 5e-3, 1e-2 and 2e-2 gave 195, 211 and 201 after a cut to 30 %
# of the multiply-adds and six epochs; rates of 2e-3, 5e-3 and 1e-2 in these epochs 211, 195 and 160.
_SMALL_DENSE = replace(_SMALL_FRESH_DENSE, epochs=20, learning_rate=1e-2)
_SMALL = replace(
    _SMALL_FRESH,
    dense=_SMALL_DENSE,
    sparse=replace(_SMALL_FRESH.sparse, epochs=12, learning_rate=1e-2, sparsity=1e-2, last_sparsity=1e-2),
    heavier=5e-2,
    weights="tiny",
    classifier=replace(_CLASSIFIER, batch=16, augment=_SMALL_AUGMENT),
)

# A trunk for --weights, under an average head: what the embedded one was trained by (bcnn_prune/weights/README.md).
PRETRAIN = Recipe(
    epochs=34,
    learning_rate=8e-2,
    batch=256,
    schedule="cosine",
    augment=Augmentation(rotation=10, shift=0.1, zoom=0.2, colour=0.25),
    weight_decay=5e-4,
    classifier_weight_decay=5e-4,
)


def with_length(recipe: Recipe, epochs: int | None, batch: int | None) -> Recipe:
    """The recipe for so many epochs of batches of this size, its own where they are not given; the rate goes with the
    batch (Goyal et al. 2017)."""
    batch = recipe.batch if batch is None else batch
    rate = recipe.learning_rate * batch / recipe.batch
    return replace(recipe, epochs=recipe.epochs if epochs is None else epochs, batch=batch, learning_rate=rate)


def pretraining(epochs: int | None, batch: int | None) -> Recipe:
    """`PRETRAIN` for so many epochs of batches of this size."""
    return with_length(PRETRAIN, epochs, batch)


# The course documents' networks, each in one phase from fresh weights. CIFAR-10: batch, shift of 4 of 32 px and flip
# are those of He et al. 2016, section 4.2. Their rate is 0.1 with BatchNorm; the document's network has none, and VGGs
# without it train at 0.05 (chengyangfu/pytorch-vgg-cifar10). 24 epochs in place of 182, for a CPU.
_CIFAR = Recipe(
    epochs=24,
    learning_rate=5e-2,
    batch=128,
    schedule="cosine",
    augment=Augmentation(shift=0.125),
    weight_decay=5e-4,
    classifier_weight_decay=5e-4,
)
# Document 004 trains with batches of 16 for 3 epochs of 60,000 digits, without augmentation; 10 epochs are what it
# gives MobileNet. The rate is that of VGG-16's authors (Simonyan and Zisserman 2015, section 3.1), who had no BN.
_DIGITS = replace(_CIFAR, epochs=10, learning_rate=1e-2, batch=16, augment=Augmentation(flip=False))
# Document 003 trains for 100 epochs by Adam at batches of 32 to 256. Ours are of the recipe for a trunk from fresh
# weights, whose rate goes with the batch, and nearly as many epochs as subsets of photographs get in all.
_PHOTOGRAPHS = replace(pretraining(60, 64), augment=_SMALL_AUGMENT)
# A teacher is not said how to be learned from: T and w are those of the course's own sample program.
COURSE_DISTILLATION = Distillation(temperature=20, weight=0.5)


def _one_phase(recipe: Recipe) -> Recipes:
    """The recipe of a network that is not cut; on a pretrained trunk the classifier is trained first."""
    classifier = replace(recipe, epochs=3, trains="classifier")
    return Recipes(recipe, recipe, recipe, recipe, heavier=0, width=1, weights="none", classifier=classifier)


Name = Literal["thesis", "drawn", "drawn-many", "small", "course-cifar", "course-digits", "course-photographs"]

RECIPES: Mapping[Name, Recipes] = {
    "thesis": _THESIS,
    "drawn": _DRAWN,
    "drawn-many": _DRAWN_MANY,
    "small": _SMALL,
    "course-cifar": _one_phase(_CIFAR),
    "course-digits": _one_phase(_DIGITS),
    "course-photographs": _one_phase(_PHOTOGRAPHS),
}
OF_FAMILY: Mapping[tuple[Name, str], Recipes] = {("thesis", "cars"): _THESIS_CARS}
"""Recipes of families that have their own."""


FROM_FRESH: Mapping[Name, Recipes] = {"small": _SMALL_FRESH}
"""Recipes whose numbers differ for fresh weights from those for a pretrained trunk."""


def of_any_length(recipe: Recipe) -> Recipe:
    """The recipe for a head whose features are no unit vectors: dense layers learn at the trunk's rate and decay."""
    return replace(recipe, classifier_rate=1, classifier_weight_decay=recipe.weight_decay)


def recipes_of(name: Name, family: str, weights: str | None = None) -> Recipes:
    """The recipe of this name, as it is for this family of sets and for these initial weights; its own, if None."""
    recipes = OF_FAMILY.get((name, family), RECIPES[name])
    if weights == "none":
        recipes = replace(FROM_FRESH.get(name, recipes), classifier=None)
    return replace(recipes, weights=weights or recipes.weights)


def initial_weights(name: Name, info: DatasetInfo, backbone: str, width: float | None) -> str:
    """Initial weights unless told: the recipe's, if they fit the network.

    Synthetic sets start from fresh weights whatever the recipe, as in the recorded results."""
    recipes = RECIPES[name]
    fits = backbone == "vgg16" and width in (None, recipes.width)
    return "none" if recipes.weights == "tiny" and (info.kind == "synthetic" or not fits) else recipes.weights


def automatic(info: DatasetInfo) -> Name:
    """The recipe that a set is given unless another is asked for."""
    match info.kind:
        case "official":
            return "thesis" if OFFICIAL[info.family].in_thesis else "small"
        case "subset" | "own":
            return "small"
        case "synthetic":
            return "drawn" if info.classes <= SYNTHETIC_CLASSES else "drawn-many"
        case _:
            assert_never(info.kind)
