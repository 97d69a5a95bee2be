"""One-shot pruning (thesis table 4.4; with --last-sparsity, table 4.7).

    python -m experiments.oneshot --dataset cars --prune 0.4
    python -m experiments.oneshot --dataset cars --max-params 300k

trains a dense and a sparse network, cuts the given share of all channels at once, or as few as a budget needs, and
fine-tunes. On the synthetic set it takes under four minutes on two cores, and ends with a table, a record, a
checkpoint and the γ figure in runs/oneshot."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from bcnn_prune.records import DatasetInfo
from experiments.run import cli
from experiments.run.cut_settings import PruneSettings, TuneSettings
from experiments.run.execute import execute
from experiments.run.flow import Flow, cut_of, recipes_after, sparse_network, teacher_of, with_controls


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """The settings of all pruning runs."""

    NEWER: ClassVar[tuple[str, ...]] = (*TuneSettings.NEWER, "keep_macs", "allocation", "runtime")


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    sparse = sparse_network(settings, info)
    pruned = sparse.pruned(cut_of(settings, info))
    recipe = recipes_after([pruned], settings, info, lambda recipes: recipes.fine_tune)
    networks = with_controls(sparse, settings, info, recipe)
    tuned = pruned.then("fine-tune", recipe, teacher_of(networks, settings))
    yield Flow("oneshot", settings, networks, steps=(tuned,))


def main(settings: Settings) -> None:
    execute(settings, flows)


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
