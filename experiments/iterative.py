"""Iterative pruning (thesis table 4.5).

    python -m experiments.iterative --dataset cars --prune 0.8 --steps 4

cuts as many channels as one-shot pruning would, but in equal shares of the original channels (20, 40, 60 and 80 %),
training after each. A table, a record with every step, a checkpoint and the γ figure end in runs/iterative."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bcnn_prune.command_line.check import at_least
from bcnn_prune.protocol import Selection
from bcnn_prune.pruning.ranking import drop_counts
from bcnn_prune.records import DatasetInfo, PruneStep, Recipe
from bcnn_prune.spec import ModelSpec
from experiments.run import cli
from experiments.run.cut_settings import PruneSettings
from experiments.run.execute import execute
from experiments.run.flow import (
    Deferred,
    Flow,
    Phase,
    Pruned,
    phases_to,
    recipes_after,
    sparse_network,
    teacher_of,
    with_controls,
)
from experiments.run.settings import recipes_for

MOST_STEPS = 100


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """The settings of all pruning runs, and the number of cuts."""

    steps: int = 4
    """Cuts, each of an equal share of the original channels."""

    def check(self) -> None:
        super().check()
        at_least(1, steps=self.steps)
        if self.steps > MOST_STEPS:
            raise ValueError(f"--steps is {self.steps}: take at most {MOST_STEPS}")

    def to_drop_by_step(self, number: int, whole: ModelSpec, side: int) -> int | Selection:
        """Channels of the `whole` network that have gone after so many cuts; for a budget, the function that selects
        them: each cut goes as far towards it as the others."""
        if self.prune is None:
            return self.selection(self.budget(whole, side).part(whole, number / self.steps))
        return sum(drop_counts(whole.channels, self.prune, self.steps)[:number])


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    sparse, whole = sparse_network(settings, info), settings.unpruned(info)
    guess = tuning_of_all_steps(settings, info)
    # By a budget the length of dense-as-long follows from the last cut, so it cannot teach before: the dense one does.
    taught_by = phases_to(sparse) if settings.prune is None else with_controls(sparse, settings, info, guess)
    teacher = teacher_of(taught_by, settings)
    cuts, steps = list[Pruned](), list[Phase]()
    for number in range(1, settings.steps + 1):
        cut = settings.cut(settings.to_drop_by_step(number, whole, info.side))
        before = steps[-1] if steps else sparse
        cuts.append(before.pruned(replace(cut, min_share_of=whole if steps else None)))
        steps.append(cuts[-1].then("fine-tune", recipe_of_step(settings, info, number, cuts[-1]), teacher))

    def as_long(*pruned: PruneStep) -> Recipe:
        shares = (1 - step.spec.channels / whole.channels for step in pruned)
        epochs = sum(recipes_for(settings, info, share).fine_tune.epochs for share in shares)
        return replace(recipes_for(settings, info).fine_tune, epochs=epochs)

    control = Deferred(tuple(cuts), as_long, guess) if settings.prune is None else guess
    networks = with_controls(sparse, settings, info, control, teacher)
    yield Flow("iterative", settings, networks, steps=tuple(steps))


def tuning_of_all_steps(settings: Settings, info: DatasetInfo) -> Recipe:
    """The fine-tuning recipe for the epochs of all steps; by a budget, a guess at it."""
    shares = ((settings.prune or 0) * number / settings.steps for number in range(1, settings.steps + 1))
    epochs = sum(recipes_for(settings, info, share).fine_tune.epochs for share in shares)
    return replace(recipes_for(settings, info).fine_tune, epochs=epochs)


def recipe_of_step(settings: Settings, info: DatasetInfo, number: int, cut: Pruned) -> Recipe | Deferred[Recipe]:
    """The fine-tuning recipe after so many of the cuts."""
    if settings.prune is None:
        return recipes_after([cut], settings, info, lambda recipes: recipes.fine_tune)
    return recipes_for(settings, info, settings.prune * number / settings.steps).fine_tune


def main(settings: Settings) -> None:
    execute(settings, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
