"""Accuracy at every pruning rate before any fine-tuning.

    python -m experiments.sweep --dataset cars

cuts the sparse network at 10, 20 … 90 % and evaluates each cut as it is, with what the dropped channels went on
emitting absorbed into the next BatchNorm, and with BN statistics recomputed. Nothing is fine-tuned, so
where the sparse network is there already nothing is trained. A table and a record end in runs/sweep."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bcnn_prune.command_line.check import shares, some
from bcnn_prune.command_line.parse import Share
from bcnn_prune.pruning.ranking import drop_counts
from bcnn_prune.records import DatasetInfo
from experiments.run import cli
from experiments.run.cut_settings import CutSettings
from experiments.run.cutting import Cutting
from experiments.run.execute import execute
from experiments.run.flow import Flow, phases_to, sparse_network


@dataclass(frozen=True, kw_only=True)
class Settings(CutSettings):
    """The settings of all cuts, and the rates."""

    rates: tuple[Share, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    """Shares of all channels to cut, each from the same sparse network."""

    def check(self) -> None:
        super().check()
        shares(rates=self.rates)
        some("0.2 0.4", rates=self.rates)

    def cutting(self) -> Cutting:
        return replace(super().cutting(), share=max(self.rates))


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    sparse, channels = sparse_network(settings, info), settings.unpruned(info).channels
    drops = (drop for rate in settings.rates for drop in drop_counts(channels, rate))
    yield Flow("sweep", settings, phases_to(sparse), sweep=tuple(sparse.pruned(settings.cut(drop)) for drop in drops))


def main(settings: Settings) -> None:
    execute(settings, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
