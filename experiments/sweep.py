"""What one sparse model loses at every rate, before an hour is spent on fine-tuning.

    python -m experiments.sweep --dataset cars

cuts the sparse network at 10, 20 … 90 % and evaluates each cut as it is, with what the dropped channels went on
emitting absorbed into the next BatchNorm, and with BN statistics recomputed. Nothing is fine-tuned, so
where the sparse network is there already nothing is trained. A table and a record end in runs/sweep."""

from dataclasses import dataclass, replace

from bcnn_prune.protocol import cut, with_absorbed
from bcnn_prune.pruning.schedule import drop_counts
from command_line.check import shares
from command_line.parse import Share
from experiments import cli
from experiments.finish import finish, reserve
from experiments.settings import CutSettings, Cutting
from experiments.start import begin, set_up


@dataclass(frozen=True, kw_only=True)
class Settings(CutSettings):
    """Those of all cuts, and the rates."""

    rates: tuple[Share, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    """Shares of all channels to cut, each from the same sparse network."""

    def check(self) -> None:
        super().check()
        shares(rates=self.rates)
        if not self.rates:
            raise ValueError("--rates names no share to cut: give some, such as --rates 0.2 0.4")

    def cutting(self) -> Cutting:
        return replace(super().cutting(), share=max(self.rates))


def main(settings: Settings) -> None:
    settings.check()
    start = set_up(settings)
    reserve(start, "sweep")
    start = begin(start, tunings=0)
    cuts = []
    for rate in settings.rates:
        (drop,) = drop_counts(start.sparse.spec.channels, rate)
        _, step = cut(start.bench, start.sparse, drop, settings.floor, settings.recalibrate, settings.multiple)
        cuts.append(with_absorbed(start.bench, start.sparse, step))
    finish(start, "sweep", sweep=tuple(cuts))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
