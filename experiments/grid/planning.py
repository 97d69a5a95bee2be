"""The runs of thesis chapter 4 for one data set and seed."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from bcnn_prune.records import DatasetInfo
from experiments import ablation, criteria, iterative, oneshot, scratch, soft, sweep
from experiments.run.cut_settings import THESIS, CutSettings, FineTuneSettings
from experiments.run.flow import Flow
from experiments.run.settings import FlowSettings, recipes_for

RATES = (0.2, 0.4, 0.6, 0.8)  # thesis tables 4.4, 4.5 and 4.7
SOFT_RATES = (0.2, 0.4, 0.6)  # thesis table 4.6
RATE = 0.6  # of the comparisons that are ours


@dataclass(frozen=True, kw_only=True)
class GridSettings(FineTuneSettings):
    """The settings of all runs of a grid; other settings keep each flow's default."""

    rule: str = THESIS
    """Ranking of channels of different layers; the chapter keeps the thesis' on all sets. The other rules are those of
    `oneshot`."""


def planned_runs(settings: GridSettings, info: DatasetInfo, seed: int) -> Iterator[Flow]:
    """The runs of one data set and seed."""
    settings = settings.on(info)

    def settings_of(kind: type[FlowSettings]) -> dict[str, Any]:
        values = {field.name: getattr(settings, field.name) for field in fields(kind)}
        return {**values, "dataset": info.name, "seed": seed}

    shared, cuts, recipes = settings_of(FlowSettings), settings_of(CutSettings), recipes_for(settings, info)
    tunes = settings_of(FineTuneSettings)
    for last in dict.fromkeys((settings.last_sparsity, recipes.heavier)):
        for rate in RATES:
            yield from oneshot.flows(oneshot.Settings(**{**tunes, "last_sparsity": last}, prune=rate), info)
    # Also in one cut, trained as long as the four together: or else iterative pruning might win by training more.
    tunings = [recipes_for(settings, info, rate).fine_tune.epochs for rate in RATES]
    for steps, longer in ((len(RATES), {}), (1, {"fine_tune_epochs": sum(tunings)})):
        yield from iterative.flows(iterative.Settings(**{**tunes, **longer}, prune=RATES[-1], steps=steps), info)
    for rate in SOFT_RATES:
        yield from soft.flows(soft.Settings(**tunes, prune=rate), info)
    yield from criteria.flows(criteria.Settings(**tunes, prune=RATE), info)
    yield from sweep.flows(sweep.Settings(**cuts), info)
    for weights in dict.fromkeys((recipes.weights, "none")):
        start = {"weights": weights, "narrow": settings.narrow and weights != "none"}
        yield from ablation.flows(ablation.Settings(**{**shared, **start}), info)
    yield from scratch.flows(scratch.Settings(**tunes, prune=RATE), info)
