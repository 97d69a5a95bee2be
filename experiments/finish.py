"""What every flow does in the end: the measurements, and the files and the table that they go into."""

import copy
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from bcnn_prune.about import About
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.evaluation.latency import timed_in_turn
from bcnn_prune.files import replacing, require_writable, taking_turns, write_text
from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.model.weights import CheckpointInfo, save
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.sparsity import scales
from bcnn_prune.records import DatasetInfo, PruneStep, Recipe, RunRecord, read_record, to_json
from experiments.provenance import provenance
from experiments.recipes import Recipes
from experiments.settings import FlowSettings, weights_digest
from experiments.start import Start
from experiments.summary import table
from thesis_figures import gamma, style

NAMED_BY_DATA = ("dataset", "classes")
"""Settings that only say which images to take: what these are, the record's data say."""


def reserve(start: Start, experiment: str, recipes: Mapping[str, Recipe] | None = None) -> None:
    """Raise OSError, before hours of training, where a run could not write its files or would replace another's record.

    `recipes` are those of the phases that are known already; the dense and the sparse one if None."""
    settings, info = start.settings, start.info
    if recipes is None:
        recipes = {"dense": start.recipes.dense, "sparse": start.recipes.sparse}

    def checked() -> None:
        for option, path in places(settings, experiment, info).items():
            require_writable(path, option)
            require_no_other(path, option, told(settings, start.recipes), info, recipes)

    start.bench.ranks.told(checked)


def require_no_other(
    path: Path, option: str, settings: Mapping[str, object], info: DatasetInfo, recipes: Mapping[str, Recipe]
) -> None:
    """Raise FileExistsError, in one line with the way out, where another run than these tell of ended in `path`."""
    if not path.exists():
        return
    try:
        differing = differences(read_record(path), settings, info, recipes)
    except ValueError as error:
        raise FileExistsError(f"{error}; move it away, or name another {option}") from error
    if differing:
        raise FileExistsError(
            f"{path} is the record of another run (it differs in {', '.join(differing)}), and stays: move it away, or "
            f"name another {option}"
        )


def differences(
    record: RunRecord, settings: Mapping[str, object], info: DatasetInfo, recipes: Mapping[str, Recipe]
) -> list[str]:
    """In what a record tells of another run than one with these settings, images and recipes; empty if in nothing."""
    names = [name for name in {**record.settings, **settings} if name not in NAMED_BY_DATA]
    found = [name for name in names if record.settings.get(name) != settings.get(name)]
    if record.data != info:
        found.append("data")
    return found + [f"recipe of {name}" for name, recipe in recipes.items() if record.recipes.get(name) != recipe]


def finish(
    start: Start,
    experiment: str,
    model: BilinearCNN | None = None,
    steps: tuple[PruneStep, ...] = (),
    sweep: tuple[PruneStep, ...] = (),
) -> RunRecord:
    """Time the networks of `start`, and write the record to <out>/<experiment>/<set>/<name> and where --results says;
    all of it by rank 0.

    With `model`, the network after the last of `steps`, also its checkpoint and the γ figure."""
    return start.bench.ranks.told(lambda: _finished(start, experiment, model, steps, sweep))


def _finished(
    start: Start,
    experiment: str,
    model: BilinearCNN | None,
    steps: tuple[PruneStep, ...],
    sweep: tuple[PruneStep, ...],
) -> RunRecord:
    settings, info = start.settings, start.info
    networks = {name: trained.model for name, trained in start.networks.items()}
    recipes = {name: trained.recipe for name, trained in start.networks.items()}
    if any(step.fine_tuning for step in steps):
        recipes["fine-tune"] = start.recipes.fine_tune
    largest = next(iter(networks.values()))
    timed = {"dense": largest} if model is None else {"dense": largest, "pruned": model}
    record = RunRecord(
        experiment=experiment,
        settings=told(settings, start.recipes),
        seed=settings.seed,
        data=info,
        spec=largest.spec,
        cost=total_cost(largest.spec, info.side),
        recipes=recipes,
        training={name: trained.history for name, trained in start.networks.items()},
        test={name: trained.test for name, trained in start.networks.items()},
        scales=_rounded(scales(networks["sparse"])) if "sparse" in networks else {},
        steps=steps,
        sweep=sweep,
        latency=timed_in_turn({name: copy.deepcopy(network).cpu() for name, network in timed.items()}, info.side),
        provenance=provenance(start.bench.train.device, start.bench.autocast, start.bench.ranks),
    )
    folder, records = ending(settings, experiment, info), places(settings, experiment, info)
    with taking_turns(folder, lambda: start.bench.watch.waiting(folder)):
        for option, path in records.items():  # another process may have written there since `reserve` looked
            require_no_other(path, option, record.settings, info, record.recipes)
        written = ["record.json"]
        if model is not None:
            plan = ChannelPlan.keep_all(record.spec)
            for step in steps:
                plan = plan.then(step.plan)
            about = About(model.spec, info.class_names, info.name, info.side)
            save(folder / "model.safetensors", model, CheckpointInfo(about, record.spec, plan))
            with replacing(folder / "gamma.png") as partial:
                style.write(gamma.draw(record), partial)
            written += ["model.safetensors", "gamma.png"]
        for path in records.values():
            write_text(path, to_json(record))
    start.console.print(table(record))
    start.console.print(f"Written to {folder}: {', '.join(written)}")
    return record


def told(settings: FlowSettings, recipes: Recipes) -> dict[str, str | int | float | bool | None]:
    """The settings as a record holds them. A file of weights is told by name and checksum: its place means nothing."""
    weights = recipes.weights
    if weights not in ("imagenet", "none"):
        weights = f"{Path(weights).name} sha256 {weights_digest(Path(weights))}"
    return {**settings.plain(), "width": recipes.width, "weights": weights}


def ending(settings: FlowSettings, experiment: str, info: DatasetInfo) -> Path:
    """The folder that a run ends in."""
    return settings.out / experiment / info.name / settings.name(info)


def places(settings: FlowSettings, experiment: str, info: DatasetInfo) -> dict[str, Path]:
    """Files that a run's record is written to, by the option that says where."""
    found = {"--out": ending(settings, experiment, info) / "record.json"}
    if settings.results is not None:
        found["--results"] = settings.results / experiment / info.name / f"{settings.name(info)}.json"
    return found


def _rounded(values: Mapping[str, Tensor]) -> dict[str, tuple[float, ...]]:
    return {layer: tuple(float(f"{value:.6g}") for value in scales.tolist()) for layer, scales in values.items()}
