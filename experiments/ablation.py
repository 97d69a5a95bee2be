"""Ablation (thesis table 4.3): bilinear or average head, BatchNorm, L1, first weights.

    python -m experiments.ablation --dataset cars

trains VGG and BCNN alike, each with and without BatchNorm, and the BCNN with L1 on its BN scales, set beside one that
trained on as long without. Where pretrained weights are there, all of it runs once with them and once without. With
them the BCNN is also trained all at once, without the phase of its classifier alone. Each network ends in
runs/ablation with a table and a record."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

from bcnn_prune.records import DatasetInfo, Recipe
from bcnn_prune.spec import ModelSpec
from experiments.recipes import Recipes, base_recipes, of_any_length
from experiments.run import cli
from experiments.run.execute import execute
from experiments.run.flow import Flow, chain_of, initial
from experiments.run.settings import FlowSettings, recipes_for

Variant = Literal["vgg", "vgg-bn", "bcnn", "bcnn-bn", "bcnn-bn-at-once", "bcnn-bn-longer", "bcnn-bn-l1"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)


@dataclass(frozen=True, kw_only=True)
class Settings(FlowSettings):
    """The settings of all runs, and the variant."""

    variant: Variant | Literal["all"] = "all"
    """One of the table's networks; or all of them, one after the other."""


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    given = recipes_for(settings, info).weights
    pairs = [
        (weights, variant)
        for weights in ((given,) if settings.weights else dict.fromkeys((given, "none")))
        for variant in variants(weights)
        if settings.variant in ("all", variant)
    ]
    if not pairs:
        raise ValueError(
            f"--variant {settings.variant} cannot start from --weights {given}: "
            f"with these weights there are {', '.join(variants(given))}"
        )
    for weights, variant in pairs:
        varied = replace(settings, variant=variant, weights=weights)
        recipes = recipes_for(varied, info)
        start = replace(initial(varied, info), spec=spec_of(variant, varied.unpruned(info)))
        *first, dense = chain_of(recipes_of(variant, recipes), start)
        after = (dense.then(name, recipe) for name, recipe in after_dense(variant, recipes).items())
        yield Flow("ablation", varied, (*first, dense, *after))


def variants(weights: str) -> tuple[Variant, ...]:
    """The networks that can start from these weights: a file holds a network with BatchNorm, and on fresh weights all
    networks are trained at once."""
    if weights == "none":
        return tuple(variant for variant in VARIANTS if variant != "bcnn-bn-at-once")
    return tuple(variant for variant in VARIANTS if weights == "imagenet" or "-bn" in variant)


def spec_of(variant: Variant, spec: ModelSpec) -> ModelSpec:
    """The variant of a network with BatchNorm: under its own head, or the backbone under an average."""
    return replace(spec if variant.startswith("bcnn") else spec.bare, batch_norm="-bn" in variant)


def recipes_of(variant: Variant, recipes: Recipes) -> dict[str, Recipe]:
    """Recipes of the classifier's phase, where there is one, and of the dense one. Averages are no unit vector: their
    classifier learns at the trunk's rate and decay."""
    phases = {name: recipe for name, recipe in base_recipes(recipes).items() if name != "sparse"}
    if variant == "bcnn-bn-at-once":
        epochs = sum(recipe.epochs for recipe in phases.values())
        return {"dense": replace(recipes.dense, epochs=epochs)}
    if variant.startswith("bcnn"):
        return phases
    return {name: of_any_length(recipe) for name, recipe in phases.items()}


def after_dense(variant: Variant, recipes: Recipes) -> dict[str, Recipe]:
    """Recipes of the phases after the dense one, by name of the phase."""
    if variant == "bcnn-bn-longer":
        return {"longer": recipes.sparse.without_l1}
    return {"sparse": recipes.sparse} if variant == "bcnn-bn-l1" else {}


def main(settings: Settings) -> None:
    execute(settings, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
