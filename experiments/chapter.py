"""The runs of thesis chapter 4 for one data set and seed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from bcnn_prune.protocol import METHOD
from bcnn_prune.pruning.importance import CRITERIA
from bcnn_prune.records import DatasetInfo, Recipe, RunRecord, read_record
from experiments import ablation, criteria, iterative, oneshot, scratch, soft, sweep
from experiments.finish import ending, told
from experiments.settings import CutSettings, FlowSettings, recipes_for

RATES = (0.2, 0.4, 0.6, 0.8)  # thesis tables 4.4, 4.5 and 4.7
SOFT_RATES = (0.2, 0.4, 0.6)  # thesis table 4.6
RATE = 0.6  # of the comparisons that are ours


@dataclass(frozen=True)
class Run:
    """A flow with all that it is told, the recipes that this comes to, and the epochs that no run before it trains."""

    experiment: str
    main: Callable[[Any], None]
    settings: FlowSettings
    recipes: Mapping[str, Recipe]
    epochs: int

    def record(self, info: DatasetInfo, results: Path | None = None) -> RunRecord | None:
        """What the run ended with, if it has: on these data, with these settings and recipes, by today's method.

        It lies where the run put it or, made elsewhere perhaps, among the `results`."""
        found = self._read(ending(self.settings, self.experiment, info) / "record.json", info)
        return found or (results and self._read(self.among(results, info), info)) or None

    def among(self, results: Path, info: DatasetInfo) -> Path:
        """The run's file in a folder of results."""
        return results / self.experiment / info.name / f"{self.settings.name()}.json"

    def _read(self, path: Path, info: DatasetInfo) -> RunRecord | None:
        try:
            record = read_record(path)
        except (FileNotFoundError, ValueError):  # none yet, or one of an older version
            return None
        same = (
            record.data == info
            and record.settings == told(self.settings, recipes_for(self.settings, info))
            and all(record.recipes[name] == recipe for name, recipe in self.recipes.items())
            and record.provenance["method"] == str(METHOD)
        )
        return record if same else None


@dataclass(frozen=True, kw_only=True)
class ChapterSettings(CutSettings):
    """What the whole chapter can be told; all else keeps each flow's default."""

    fine_tune_epochs: int | None = None
    """Epochs after a cut; the recipe's if not given."""


def chapter(settings: ChapterSettings, info: DatasetInfo, seed: int) -> Iterator[Run]:
    """The runs of one data set and seed, those that others build on first."""

    def handed_on(kind: type[FlowSettings]) -> dict[str, Any]:
        told = {field.name: getattr(settings, field.name) for field in fields(kind)}
        return {**told, "dataset": info.name, "seed": seed}

    shared, cuts = handed_on(FlowSettings), handed_on(CutSettings)
    tunes = {**cuts, "fine_tune_epochs": settings.fine_tune_epochs}
    heavier = recipes_for(settings, info).heavier

    controls: set[tuple[float | None, int]] = set()
    for last in (settings.last_sparsity, heavier):
        for rate in RATES:
            run = _tuned(
                "oneshot", oneshot.main, oneshot.Settings(**{**tunes, "last_sparsity": last}, prune=rate), info
            )
            tuning = run.recipes["fine-tune"].epochs
            first = [] if any(known == last for known, _ in controls) else [run.recipes["sparse"].epochs]
            if not controls:
                first.append(run.recipes["dense"].epochs)
            control = 0 if (last, tuning) in controls else tuning
            controls.add((last, tuning))
            yield replace(run, epochs=tuning + control + sum(first))
    tunings = [recipes_for(oneshot.Settings(**tunes, prune=rate), info).fine_tune.epochs for rate in RATES]
    for steps in (len(RATES), 1):
        # Also in one cut, trained as long as the four together: or else iterative pruning might win by training more.
        longer = {**tunes, "fine_tune_epochs": sum(tunings)} if steps == 1 else tunes
        run = _tuned("iterative", iterative.main, iterative.Settings(**longer, prune=RATES[-1], steps=steps), info)
        yield replace(run, epochs=sum(tunings) * (1 if steps == 1 else 2))
    for rate in SOFT_RATES:
        run = _tuned("soft", soft.main, soft.Settings(**tunes, prune=rate), info)
        epochs = recipes_for(run.settings, info).soft.epochs
        yield replace(run, recipes=_base(run.settings, info), epochs=epochs + (epochs if rate == SOFT_RATES[0] else 0))
    for criterion in CRITERIA:
        yield _tuned("criteria", criteria.main, criteria.Settings(**tunes, prune=RATE, criterion=criterion), info)
    sweeping = sweep.Settings(**cuts)
    yield Run("sweep", sweep.main, sweeping, _base(sweeping, info), epochs=0)
    for weights in dict.fromkeys(("none", recipes_for(settings, info).weights)):
        for variant in ablation.variants(weights):
            varied = ablation.Settings(**{**shared, "weights": weights}, variant=variant)
            recipes = {"dense": ablation.recipe_of(variant, recipes_for(varied, info))}
            yield Run("ablation", ablation.main, varied, recipes, recipes["dense"].epochs)
    run = _tuned("scratch", scratch.main, scratch.Settings(**tunes, prune=RATE), info)
    # Equal computing is some four times the epochs of a network that is four times as cheap.
    yield replace(run, epochs=2 * sum(recipe.epochs for recipe in run.recipes.values()))


def _base(settings: FlowSettings, info: DatasetInfo) -> dict[str, Recipe]:
    recipes = recipes_for(settings, info)
    return {"dense": recipes.dense, "sparse": recipes.sparse}


def _tuned(experiment: str, main: Callable[[Any], None], settings: FlowSettings, info: DatasetInfo) -> Run:
    tuning = recipes_for(settings, info).fine_tune
    return Run(experiment, main, settings, {**_base(settings, info), "fine-tune": tuning}, tuning.epochs)
