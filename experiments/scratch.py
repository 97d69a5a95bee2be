"""Retrain the pruned architecture from random initialisation (Liu et al. 2019).

    python -m experiments.scratch --dataset cars --prune 0.6

trains the shape that one-shot pruning found from new weights, once for as many epochs as the pruned network has seen
in all its phases, and once for as many multiply-adds as these took: the longest of all flows. A table, a record and the
pruned network's checkpoint and γ figure end in runs/scratch."""

from dataclasses import dataclass, replace

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.protocol import fine_tune, prune
from experiments.run import cli
from experiments.run.cut_settings import PruneSettings
from experiments.run.record import finish, reserve
from experiments.run.run import prepare_run, train_base_networks, train_controls


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """The settings of the pruned network whose shape is trained anew."""


def main(settings: Settings) -> None:
    settings.check()
    run = prepare_run(settings)
    reserve(run, "scratch")
    run = train_base_networks(run, tunings=1 + settings.control)
    narrow, step = prune(run.context, run.sparse, settings.cut(settings.to_drop(run.spec(), run.info.side)))
    run = run.after_cut(step.spec)
    recipes = run.recipes
    model, step = fine_tune(run.context, narrow, step, recipes.fine_tune)
    if settings.control:
        run = train_controls(run, recipes.fine_tune)
    wide = recipes.dense.epochs + recipes.sparse.epochs
    # Every epoch sees the same images, so computing is epochs times the multiply-adds of an image.
    dearer = total_cost(run.sparse.spec, run.info.side).macs / step.cost.macs
    for budget, epochs in (("epochs", wide), ("compute", round(wide * dearer))):
        recipe = replace(recipes.dense, epochs=epochs + recipes.fine_tune.epochs)
        run = run.train(f"scratch-{budget}", run.first_weights(step.spec, "none"), recipe)
    finish(run, "scratch", model, (step,))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
