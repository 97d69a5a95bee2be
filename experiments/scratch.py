"""Does pruning find weights or a shape? (Liu et al. 2019, "Rethinking the Value of Network Pruning".)

    python -m experiments.scratch --dataset cars --prune 0.6

trains the shape that one-shot pruning found from new weights, once for as many epochs as the pruned network has seen
in all its phases, and once for as many multiply-adds as these took: the longest of all flows. A table, a record and the
pruned network's checkpoint and γ figure end in runs/scratch."""

from dataclasses import dataclass, replace

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.protocol import prune_step
from bcnn_prune.pruning.schedule import drop_counts
from experiments import cli
from experiments.finish import finish, reserve
from experiments.settings import PruneSettings
from experiments.start import begin, set_up


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """The settings of the pruned network whose shape is trained anew."""


def main(settings: Settings) -> None:
    settings.check()
    start = set_up(settings)
    reserve(start, "scratch")
    start = begin(start, tunings=1 + settings.control)
    recipes = start.recipes
    (drop,) = drop_counts(start.sparse.spec.channels, settings.prune)
    model, step = prune_step(
        start.bench, start.sparse, drop, settings.floor, recipes.fine_tune, settings.recalibrate, settings.multiple
    )
    if settings.control:
        start = start.train("control", start.sparse, recipes.fine_tune)
    wide = recipes.dense.epochs + recipes.sparse.epochs
    # Every epoch sees the same images, so computing is epochs times the multiply-adds of an image.
    dearer = total_cost(start.sparse.spec, start.info.side).macs / step.cost.macs
    for budget, epochs in (("epochs", wide), ("compute", round(wide * dearer))):
        recipe = replace(recipes.dense, epochs=epochs + recipes.fine_tune.epochs)
        start = start.train(f"scratch-{budget}", start.first_weights(step.spec, "none"), recipe)
    finish(start, "scratch", model, (step,))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
