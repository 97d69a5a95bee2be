"""The runs of thesis chapter 4 for one data set and seed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from bcnn_prune.command_line.check import at_least
from bcnn_prune.phase import METHOD
from bcnn_prune.pruning.budget_split import drop_counts
from bcnn_prune.pruning.importance import CRITERIA
from bcnn_prune.records import DatasetInfo, Recipe, RunRecord, read_record
from experiments import ablation, criteria, iterative, oneshot, scratch, soft, sweep
from experiments.grid.phases import First, Phase
from experiments.recipes import base_recipes
from experiments.run.cut_settings import CutSettings
from experiments.run.record import differences, places, recorded_settings
from experiments.run.run import unpruned_spec
from experiments.run.settings import Cutting, FlowSettings, recipes_for

RATES = (0.2, 0.4, 0.6, 0.8)  # thesis tables 4.4, 4.5 and 4.7
SOFT_RATES = (0.2, 0.4, 0.6)  # thesis table 4.6
RATE = 0.6  # of the comparisons that are ours


@dataclass(frozen=True)
class PlannedRun:
    """A flow with all that it is told, the recipes that this comes to, and its phases in order."""

    experiment: str
    main: Callable[[Any], None]
    settings: FlowSettings
    recipes: Mapping[str, Recipe]
    phases: tuple[Phase, ...]
    """Those that it shares with other runs, too: whoever comes first trains them."""

    def record(self, info: DatasetInfo) -> RunRecord | None:
        """What the run ended with, if it has: on these data, with these settings and recipes, by today's method.

        It lies where the run put it or, made elsewhere perhaps, among the results."""
        found = (self.record_at(path, info) for path in self.places(info).values())
        return next((record for record in found if record is not None), None)

    def places(self, info: DatasetInfo) -> dict[str, Path]:
        """Files of its record, by the option that says where."""
        return places(self.settings, self.experiment, info)

    def record_at(self, path: Path, info: DatasetInfo) -> RunRecord | None:
        """The record in a file, if it is what the run ended with."""
        try:
            record = read_record(path)
        except (FileNotFoundError, ValueError):  # none yet, or one of an older version
            return None
        settings = recorded_settings(self.settings, recipes_for(self.settings, info))
        if differences(record, settings, info, self.recipes) or record.provenance["method"] != str(METHOD):
            return None
        return record


@dataclass(frozen=True, kw_only=True)
class GridSettings(CutSettings):
    """What the whole chapter can be told; all else keeps each flow's default."""

    fine_tune_epochs: int | None = None
    """Epochs after a cut; the recipe's if not given."""

    def check(self) -> None:
        super().check()
        at_least(1, fine_tune_epochs=self.fine_tune_epochs)

    def cutting(self) -> Cutting:
        return replace(super().cutting(), fine_tune_epochs=self.fine_tune_epochs)


def planned_runs(settings: GridSettings, info: DatasetInfo, seed: int) -> Iterator[PlannedRun]:
    """The runs of one data set and seed, those that others build on first."""

    def handed_on(kind: type[FlowSettings]) -> dict[str, Any]:
        told = {field.name: getattr(settings, field.name) for field in fields(kind)}
        return {**told, "dataset": info.name, "seed": seed}

    shared, cuts = handed_on(FlowSettings), handed_on(CutSettings)
    tunes = {**cuts, "fine_tune_epochs": settings.fine_tune_epochs}
    heavier = recipes_for(settings, info).heavier

    for last in (settings.last_sparsity, heavier):
        for rate in RATES:
            run = oneshot.Settings(**{**tunes, "last_sparsity": last}, prune=rate)
            yield PlannedRun("oneshot", oneshot.main, run, _tuning(run, info), _once(run, info, rate))
    tunings = [recipes_for(oneshot.Settings(**tunes, prune=rate), info).fine_tune.epochs for rate in RATES]
    for steps in (len(RATES), 1):
        # Also in one cut, trained as long as the four together: or else iterative pruning might win by training more.
        longer = {**tunes, "fine_tune_epochs": sum(tunings)} if steps == 1 else tunes
        stepwise = iterative.Settings(**longer, prune=RATES[-1], steps=steps)
        yield PlannedRun(
            "iterative", iterative.main, stepwise, _tuning(stepwise, info), _in_steps(stepwise, info, RATES[-1])
        )
    for rate in SOFT_RATES:
        softly = soft.Settings(**tunes, prune=rate)
        yield PlannedRun("soft", soft.main, softly, _base(softly, info), _softly(softly, info, rate))
    for criterion in CRITERIA:
        by = criteria.Settings(**tunes, prune=RATE, criterion=criterion)
        yield PlannedRun("criteria", criteria.main, by, _tuning(by, info), _once(by, info, RATE, criterion))
    sweeping = sweep.Settings(**cuts)
    yield PlannedRun("sweep", sweep.main, sweeping, _base(sweeping, info), _base_phases(sweeping, info))
    for weights in dict.fromkeys((recipes_for(settings, info).weights, "none")):
        for variant in ablation.variants(weights):
            varied = ablation.Settings(**{**shared, "weights": weights}, variant=variant)
            recipes = ablation.recipes_of(variant, recipes_for(varied, info))
            yield PlannedRun("ablation", ablation.main, varied, recipes, _varied(varied, variant, info))
    anew = scratch.Settings(**tunes, prune=RATE)
    yield PlannedRun("scratch", scratch.main, anew, _tuning(anew, info), _anew(anew, info, RATE))


def _base(settings: FlowSettings, info: DatasetInfo) -> dict[str, Recipe]:
    return base_recipes(recipes_for(settings, info))


def _tuning(settings: FlowSettings, info: DatasetInfo) -> dict[str, Recipe]:
    return {**_base(settings, info), "fine-tune": recipes_for(settings, info).fine_tune}


def _first(settings: FlowSettings, info: DatasetInfo) -> First:
    recipes = recipes_for(settings, info)
    spec = unpruned_spec(settings, info, recipes)
    return First(info.digest, settings.seed, spec, recipes.weights)


def _base_phases(settings: FlowSettings, info: DatasetInfo) -> tuple[Phase, ...]:
    """The classifier's phase, where there is one, the dense one and the sparse one."""
    return _in_a_chain(_base(settings, info), _first(settings, info))


def _in_a_chain(recipes: Mapping[str, Recipe], start: First) -> tuple[Phase, ...]:
    phases: list[Phase] = []
    for name, recipe in recipes.items():
        phases.append(Phase(name, recipe, phases[-1] if phases else start))
    return tuple(phases)


def _controls(settings: FlowSettings, info: DatasetInfo, base: tuple[Phase, ...], tuning: Recipe) -> tuple[Phase, ...]:
    """The unpruned networks that train as long, from the base phases and the recipe after the cuts."""
    *_, dense, sparse = base
    control = sparse.then("control", tuning)
    if not settings.has_dense_as_long(info):
        return (control,)
    return control, Phase("dense-as-long", recipes_for(settings, info).as_long(tuning.epochs), dense.start)


def _once(settings: CutSettings, info: DatasetInfo, rate: float, criterion: str = "bn-scale") -> tuple[Phase, ...]:
    """One cut and its fine-tuning; the controls train on as long."""
    base = _base_phases(settings, info)
    (drop,), recipe = drop_counts(base[-1].first.spec.channels, rate), recipes_for(settings, info).fine_tune
    tuned = base[-1].then("fine-tune", recipe, settings.cut(drop, criterion))
    return *base, tuned, *_controls(settings, info, base, recipe)


def _in_steps(settings: iterative.Settings, info: DatasetInfo, share: float) -> tuple[Phase, ...]:
    base = _base_phases(settings, info)
    steps = [base[-1]]
    for done, drop in enumerate(drop_counts(base[-1].first.spec.channels, share, settings.steps), 1):
        recipe = recipes_for(settings, info, share * done / settings.steps).fine_tune
        steps.append(steps[-1].then("fine-tune", recipe, settings.cut(drop)))
    epochs = sum(step.recipe.epochs for step in steps[1:])
    tuning = replace(recipes_for(settings, info).fine_tune, epochs=epochs)
    return *base, *steps[1:], *_controls(settings, info, base, tuning)


def _softly(settings: soft.Settings, info: DatasetInfo, share: float) -> tuple[Phase, ...]:
    base = _base_phases(settings, info)
    (drop,), recipe = drop_counts(base[-1].first.spec.channels, share), recipes_for(settings, info).soft
    return *base, base[-1].then("soft", recipe, settings.cut(drop)), *_controls(settings, info, base, recipe)


def _varied(settings: ablation.Settings, variant: ablation.Variant, info: DatasetInfo) -> tuple[Phase, ...]:
    recipes, start = recipes_for(settings, info), _first(settings, info)
    start = replace(start, spec=ablation.spec_of(variant, start.spec))
    base = _in_a_chain(ablation.recipes_of(variant, recipes), start)
    return *base, *(base[-1].then(name, recipe) for name, recipe in ablation.after_dense(variant, recipes).items())


def _anew(settings: scratch.Settings, info: DatasetInfo, share: float) -> tuple[Phase, ...]:
    """Equal computing is more epochs of a cheaper network: here it stands as that many of the whole network."""
    tuned, recipes = _once(settings, info, share), recipes_for(settings, info)
    cut = next(phase.cut for phase in tuned if phase.name == "fine-tune")
    start, recipe = replace(_first(settings, info), weights="none"), recipes.as_long(recipes.fine_tune.epochs)
    return *tuned, *(Phase(f"scratch-{budget}", recipe, start, cut) for budget in ("epochs", "compute"))
