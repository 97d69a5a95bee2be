"""Soft filter pruning (thesis table 4.6; He et al. 2018).

    python -m experiments.soft --dataset cars --prune 0.4

trains the sparse network on; at the end of each epoch γ and β of the lowest channels are set to zero, and all go on
training, so that a channel may come back: by momentum alone, for at zero it gets no gradient. The epoch that is best
with them at zero is cut for good. A table, a record with every zeroing, a checkpoint and the γ figure end in
runs/soft."""

from collections.abc import Iterator
from dataclasses import dataclass

from bcnn_prune.command_line.check import at_least
from bcnn_prune.records import DatasetInfo, SoftPruningSchedule
from experiments.run import cli
from experiments.run.cut_settings import PruneSettings
from experiments.run.execute import execute
from experiments.run.flow import (
    Deferred,
    Flow,
    Phase,
    cut_of,
    recipes_after,
    sparse_network,
    teacher_of,
    with_controls,
)
from experiments.run.settings import recipes_for


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """The settings of all pruning runs, and how zeroing goes on."""

    every: int = 1
    """Epochs from one zeroing to the next."""
    ramp: int = 1
    """Epochs over which the share of zeroed channels rises evenly to --prune; 1 zeroes all of them from the start."""

    def check(self) -> None:
        super().check()
        at_least(1, every=self.every, ramp=self.ramp)
        if self.allocation != "ranking":
            raise ValueError(f"--allocation {self.allocation} is not for soft pruning, which zeroes by a ranking")


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    sparse, cut, whole = sparse_network(settings, info), cut_of(settings, info), settings.unpruned(info)
    pruned = sparse.pruned(cut)
    require_reached(settings, recipes_for(settings, info).soft.epochs)
    recipe = recipes_after([pruned], settings, info, lambda recipes: recipes.soft)

    def schedule(drop: int) -> SoftPruningSchedule:
        return SoftPruningSchedule(drop, cut.min_channels, settings.every, settings.ramp, cut.rule, cut.min_share)

    soft: SoftPruningSchedule | Deferred[SoftPruningSchedule]
    if isinstance(cut.drop, int) and cut.multiple == 1:
        soft = schedule(cut.drop)
    else:  # zero as many channels as a cut of the sparse network would take
        soft = Deferred((pruned,), lambda step: schedule(whole.channels - step.spec.channels), schedule(0))
    networks = with_controls(sparse, settings, info, recipe)
    softened = Phase("soft", recipe, sparse, soft, teacher_of(networks, settings))
    yield Flow("soft", settings, (*networks, softened), steps=(softened.pruned(cut),))


def require_reached(settings: Settings, epochs: int) -> None:
    """Raise ValueError where no zeroing of the phase takes all of --prune: the cut would take what was never zeroed."""
    last = epochs // settings.every * settings.every
    if last < settings.ramp or last == 0:
        raise ValueError(
            f"--every {settings.every} and --ramp {settings.ramp}: the last zeroing of {epochs} epochs comes after "
            f"epoch {last}, before all of --prune is zeroed; take less, or more --fine-tune-epochs"
        )


def main(settings: Settings) -> None:
    execute(settings, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
