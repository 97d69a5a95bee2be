"""What each part of the network is worth (thesis table 4.3): bilinear or average head, BatchNorm, L1, first weights.

    python -m experiments.ablation --dataset cars

trains five networks alike: VGG and BCNN, each with and without BatchNorm, and the BCNN with L1 on its BN scales, set
beside one that trained on as long without. With ImageNet weights at hand, all of it once with them and once without.
Each network ends in runs/ablation with a table and a
record."""

from dataclasses import dataclass, replace
from typing import Literal

from bcnn_prune.records import Recipe
from bcnn_prune.spec import ModelSpec
from experiments import cli
from experiments.finish import finish, reserve
from experiments.recipes import Recipes
from experiments.settings import FlowSettings
from experiments.start import Start, set_up

Variant = Literal["vgg", "vgg-bn", "bcnn", "bcnn-bn", "bcnn-bn-longer", "bcnn-bn-l1"]
VARIANTS: tuple[Variant, ...] = ("vgg", "vgg-bn", "bcnn", "bcnn-bn", "bcnn-bn-longer", "bcnn-bn-l1")


@dataclass(frozen=True, kw_only=True)
class Settings(FlowSettings):
    """Those of all runs, and the variant."""

    variant: Variant | Literal["all"] = "all"
    """One of the table's networks; or all of them, one after the other."""


def main(settings: Settings) -> None:
    settings.check()
    start, runs = set_up(settings), list[tuple[Start, Variant]]()
    for weights in (settings.weights,) if settings.weights else dict.fromkeys((start.recipes.weights, "none")):
        for variant in variants(weights) if settings.variant == "all" else (settings.variant,):
            told = replace(settings, variant=variant, weights=weights)
            recipes = replace(start.recipes, weights=weights)
            runs.append((replace(start, settings=told, recipes=recipes), variant))
    for run, variant in runs:
        reserve(run, "ablation", {"dense": recipe_of(variant, run.recipes)})
    for run, variant in runs:
        finish(_trained(run, variant), "ablation")


def variants(weights: str) -> tuple[Variant, ...]:
    """The networks that can start from these weights: a file holds a network with BatchNorm."""
    return tuple(v for v in VARIANTS if weights in ("none", "imagenet") or "-bn" in v)


def _trained(start: Start, variant: Variant) -> Start:
    first = start.first_weights(spec_of(variant, start.spec()), start.recipes.weights)
    start = start.train("dense", first, recipe_of(variant, start.recipes))
    dense = start.networks["dense"].model
    for name, recipe in after_dense(variant, start.recipes).items():
        start = start.train(name, dense, recipe)
    return start


def spec_of(variant: Variant, spec: ModelSpec) -> ModelSpec:
    """The variant of a BCNN with BatchNorm."""
    head: Literal["bilinear", "average"] = "bilinear" if variant.startswith("bcnn") else "average"
    return replace(spec, head=head, batch_norm="-bn" in variant)


def recipe_of(variant: Variant, recipes: Recipes) -> Recipe:
    """The dense recipe; averages are no unit vector, so their classifier learns at the trunk's rate and decay."""
    if variant.startswith("bcnn"):
        return recipes.dense
    return replace(recipes.dense, classifier_rate=1, classifier_weight_decay=recipes.dense.weight_decay)


def after_dense(variant: Variant, recipes: Recipes) -> dict[str, Recipe]:
    """How the dense network is trained on, if it is, by the name of the phase."""
    if variant == "bcnn-bn-longer":
        return {"longer": replace(recipes.sparse, sparsity=0, last_sparsity=0)}
    return {"sparse": recipes.sparse} if variant == "bcnn-bn-l1" else {}


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
