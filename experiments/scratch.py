"""Retrain the pruned architecture from random initialisation (Liu et al. 2019).

    python -m experiments.scratch --dataset cars --prune 0.6

trains the architecture that one-shot pruning found from random weights, once for as many epochs as the pruned network
has seen in all its phases, and once for as many multiply-adds as these took: the longest of all flows. A table, a
record and the pruned network's checkpoint and γ figure end in runs/scratch."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.records import DatasetInfo, PruneStep, Recipe
from experiments.recipes import Recipes
from experiments.run import cli
from experiments.run.cut_settings import PruneSettings
from experiments.run.execute import execute
from experiments.run.flow import (
    Deferred,
    Flow,
    Phase,
    cut_of,
    initial,
    recipes_after,
    sparse_network,
    teacher_of,
    with_controls,
)
from experiments.run.settings import recipes_for


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """The settings of the pruned network whose shape is trained anew."""


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    sparse, whole = sparse_network(settings, info), settings.unpruned(info)
    pruned = sparse.pruned(cut_of(settings, info))
    recipe = recipes_after([pruned], settings, info, lambda recipes: recipes.fine_tune)
    start = replace(initial(settings, info), spec=Deferred((pruned,), lambda step: step.spec, whole), weights="none")

    def as_much_computing(step: PruneStep) -> Recipe:
        share = 1 - step.spec.channels / whole.channels if settings.prune is None else settings.prune
        # Every epoch sees the same images, so computing is epochs times the multiply-adds of an image.
        return as_long(recipes_for(settings, info, share), total_cost(whole, info.side).macs / step.cost.macs)

    networks = with_controls(sparse, settings, info, recipe)
    teacher = teacher_of(networks, settings)
    computing = Deferred((pruned,), as_much_computing, as_long(recipes_for(settings, info)))
    scratch = (
        Phase("scratch-epochs", recipes_after([pruned], settings, info, as_long), start, teacher=teacher),
        Phase("scratch-compute", computing, start, teacher=teacher),
    )
    tuned = pruned.then("fine-tune", recipe, teacher)
    yield Flow("scratch", settings, (*networks, *scratch), steps=(tuned,))


def as_long(recipes: Recipes, times: float = 1) -> Recipe:
    """The dense recipe for the epochs that the pruned network has seen, of which those before the cut count `times`;
    with the distillation of fine-tuning, where there is one, from the first epoch on."""
    epochs = round((recipes.dense.epochs + recipes.sparse.epochs) * times) + recipes.fine_tune.epochs
    return replace(recipes.dense, epochs=epochs, distillation=recipes.fine_tune.distillation)


def main(settings: Settings) -> None:
    execute(settings, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
