"""Which layers can be cut, and how far? Val accuracy with one layer alone cut.

    python -m experiments.sensitivity --dataset cars

cuts each layer of the sparse network alone to a sixteenth up to three quarters of its width, recomputes BN statistics,
and counts val images. Where the sparse network is there already nothing is trained, and it takes some two minutes. A
table and a record end in runs/sensitivity; thesis_figures draws the map. In any other flow --allocation sensitivity
measures the same map, and takes widths at which every layer, cut alone, loses at most the same."""

from collections.abc import Iterator
from dataclasses import dataclass

from bcnn_prune.command_line.check import more_than, one_of, shares, some
from bcnn_prune.command_line.parse import Share, option
from bcnn_prune.pruning.importance import CRITERIA
from bcnn_prune.pruning.sensitivity import SHARES
from bcnn_prune.records import DatasetInfo
from experiments.run import cli
from experiments.run.cut_settings import AUTO, USUAL, CutSettings
from experiments.run.execute import execute
from experiments.run.flow import Flow, OneByOne, phases_to, sparse_network

OF_LARGER_CUTS = ("min_channels", "min_share", "multiple", "repair")
"""Settings of all cuts that mean nothing for a single layer."""


@dataclass(frozen=True, kw_only=True)
class Settings(CutSettings):
    """The settings of all cuts, the criterion and the widths."""

    criterion: str = "bn-scale"
    """Decides which channels of a layer stay."""
    shares: tuple[Share, ...] = SHARES
    """Widths that each layer is cut to, as shares of its own."""

    def check(self) -> None:
        super().check()
        for name in OF_LARGER_CUTS:
            if getattr(self, name) != getattr(Settings, name):
                raise ValueError(f"{option(name)} means nothing here, where each layer is cut alone: leave it out")
        if self.rule not in (AUTO, *USUAL):  # records hold what auto stands for
            raise ValueError("--rule means nothing here, where each layer is cut alone: leave it out")
        one_of(CRITERIA, criterion=self.criterion)
        shares(shares=self.shares)
        more_than(0, shares=self.shares)
        some("0.25 0.5", shares=self.shares)


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    sparse = sparse_network(settings, info)
    alone = OneByOne(sparse, settings.criterion, settings.shares, settings.recalibrate)
    yield Flow("sensitivity", settings, phases_to(sparse), one_by_one=alone)


def main(settings: Settings) -> None:
    execute(settings, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
