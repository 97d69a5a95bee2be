"""One-shot pruning (thesis table 4.4; with --last-sparsity, table 4.7).

    python -m experiments.oneshot --dataset cars --prune 0.4
    python -m experiments.oneshot --dataset cars --max-params 300k

trains a dense and a sparse network, cuts the given share of all channels at once, or as few as a budget needs, and
fine-tunes. On the drawn set.it takes under four minutes on two cores and ends with a table, a record, a checkpoint and
the γ figure in runs/oneshot."""

from dataclasses import dataclass
from typing import ClassVar

from bcnn_prune.protocol import fine_tune, prune
from experiments.run import cli
from experiments.run.cut_settings import PruneSettings, TuneSettings
from experiments.run.record import finish, reserve
from experiments.run.run import prepare_run, train_base_networks, train_controls


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """Those of all pruning runs."""

    NEWER: ClassVar[tuple[str, ...]] = (*TuneSettings.NEWER, "keep_macs", "allocation")


def main(settings: Settings) -> None:
    settings.check()
    run = prepare_run(settings)
    reserve(run, "oneshot")
    run = train_base_networks(run, tunings=1 + settings.control)
    narrow, step = prune(run.context, run.sparse, settings.cut(settings.to_drop(run.spec(), run.info.side)))
    run = run.after_cut(step.spec)
    model, step = fine_tune(run.context, narrow, step, run.recipes.fine_tune)
    if settings.control:
        run = train_controls(run, run.recipes.fine_tune)
    finish(run, "oneshot", model, (step,))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
