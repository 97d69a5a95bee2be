"""Soft filter pruning (thesis table 4.6; He et al. 2018).

    python -m experiments.soft --dataset cars --prune 0.4

trains the sparse network on; at the end of each epoch γ and β of the lowest channels are set to zero, and all go on
training, so that a channel may come back: by momentum alone, for at zero it gets no gradient. The epoch that is best
with them at zero is cut for good. A table, a record with every zeroing, a checkpoint and the γ figure end in
runs/soft."""

from dataclasses import dataclass, replace

from bcnn_prune.command_line.check import at_least
from bcnn_prune.phase import train_phase
from bcnn_prune.protocol import prune
from bcnn_prune.pruning.sparsity import scales
from bcnn_prune.records import SoftPruningSchedule
from experiments.run import cli
from experiments.run.cut_settings import PruneSettings
from experiments.run.record import finish, reserve
from experiments.run.run import prepare_run, train_base_networks, train_controls


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """Those of all pruning runs, and how zeroing goes on."""

    every: int = 1
    """Epochs from one zeroing to the next."""
    ramp: int = 1
    """Epochs over which the share of zeroed channels rises evenly to --prune; 1 zeroes all of them from the start."""

    def check(self) -> None:
        super().check()
        at_least(1, every=self.every, ramp=self.ramp)


def main(settings: Settings) -> None:
    settings.check()
    run = prepare_run(settings)
    require_reached(settings, run.recipes.soft.epochs)
    reserve(run, "soft")
    run = train_base_networks(run, tunings=1 + settings.control)
    cut = settings.cut(settings.to_drop(run.spec(), run.info.side))
    zeroed = cut.select(run.spec(), scales(run.sparse)).narrow(run.spec())
    run = run.after_cut(zeroed)
    recipe, drop = run.recipes.soft, run.spec().channels - zeroed.channels
    softening = SoftPruningSchedule(
        drop, cut.min_channels, settings.every, settings.ramp, rule=cut.rule, min_share=cut.min_share
    )
    softened = train_phase(run.context, "soft", run.sparse, recipe, softening)
    if settings.control:
        run = train_controls(run, recipe)
    run = replace(run, networks={**run.networks, "soft": softened})
    model, step = prune(run.context, softened.model, cut)
    finish(run, "soft", model, (step,))


def require_reached(settings: Settings, epochs: int) -> None:
    """Raise ValueError where no zeroing of the phase takes all of --prune: the cut would take what was never zeroed."""
    last = epochs // settings.every * settings.every
    if last < settings.ramp or last == 0:
        raise ValueError(
            f"--every {settings.every} and --ramp {settings.ramp}: the last zeroing of {epochs} epochs comes after "
            f"epoch {last}, before all of --prune is zeroed; take less, or more --fine-tune-epochs"
        )


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
