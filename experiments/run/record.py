"""The end of every run: its measurements, and the files and the table that they go into."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from bcnn_prune.compression import storage
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.evaluation.latency import timed_in_turn
from bcnn_prune.files import folder_lock, require_writable, write_text
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.checkpoint import CheckpointInfo, save
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.phase import METHOD, TrainedNetwork
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.sparsity import scales
from bcnn_prune.records import RECORD, ComparedNetwork, DatasetInfo, PruneStep, Recipe, RunRecord, read_record, to_json
from bcnn_prune.records.compared import Bits
from bcnn_prune.records.sensitivity import Sensitivity
from experiments.run import shipped
from experiments.run.flow import Flow
from experiments.run.provenance import provenance
from experiments.run.run import Run
from experiments.run.settings import NAMED_WEIGHTS, FlowSettings, recipes_for, weights_digest
from experiments.run.summary import sensitivity_table, table

NAMED_BY_DATA = ("dataset", "classes")
"""Settings that only say which images to take: what these are, the record's data say."""


@dataclass(frozen=True)
class RunResult:
    """Networks and cuts of a finished run."""

    trained: Mapping[str, TrainedNetwork]
    """Networks of the phases that the record holds, by name; the first one is the unpruned network."""
    recipes: Mapping[str, Recipe]
    model: BilinearCNN | None
    """The network after the last of `steps`; None in a flow that ends with no pruned network."""
    steps: tuple[PruneStep, ...]
    sweep: tuple[PruneStep, ...]
    compared: tuple[ComparedNetwork, ...] = ()
    correct: Mapping[str, Bits] = field(default_factory=dict)
    sensitivity: Sensitivity | None = None


def reserve(flow: Flow, info: DatasetInfo) -> None:
    """Raise OSError, before hours of training, where a run could not write its files or would replace another's
    record."""
    for option, path in places(flow, info).items():
        require_writable(path, option)
        require_no_other(path, option, recorded_settings(flow.settings, info), info, flow.recipes)


def finished_record(flow: Flow, info: DatasetInfo) -> RunRecord | None:
    """The record of a finished run on these data, with these settings and recipes, by today's method; else None.

    It lies where the run put it or, perhaps made elsewhere, among the results."""
    records = (record_at(path, flow, info) for path in places(flow, info).values())
    return next((record for record in records if record is not None), None)


def record_at(path: Path, flow: Flow, info: DatasetInfo) -> RunRecord | None:
    """The record in a file, if it is that of the run."""
    try:
        record = read_record(path)
    except (FileNotFoundError, ValueError):  # none yet, or one of an older version
        return None
    if record.provenance.get("method") != str(METHOD):
        return None
    differing = differences(record, recorded_settings(flow.settings, info), info, flow.recipes)
    return None if differing else record


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
    """Names of the settings, images and recipes in which a record differs from these; empty if it agrees."""
    names = [name for name in {**record.settings, **settings} if name not in NAMED_BY_DATA]
    differing = [name for name in names if record.settings.get(name) != settings.get(name)]
    if record.data != info:
        differing.append("data")
    return differing + [f"recipe of {name}" for name, recipe in recipes.items() if record.recipes.get(name) != recipe]


def finish(run: Run, flow: Flow, result: RunResult) -> RunRecord:
    """Time the run's networks, and write the record to <out>/<experiment>/<set>/<name> and to --results. Only rank 0
    does.

    With a pruned network, also write its checkpoint and the γ figure."""

    def on_rank_zero() -> RunRecord:
        record = build_record(run, flow, result)
        folder = run_folder(flow.settings, flow.experiment, run.info)
        record, written = write_files(run, flow, folder, record, result.model)
        run.console.print(table(record))
        if record.sensitivity is not None:
            run.console.print(sensitivity_table(record.sensitivity, record.spec.width_of))
        run.console.print(f"Written to {folder}: {', '.join(written)}")
        return record

    return run.on_rank_zero(on_rank_zero)


def build_record(run: Run, flow: Flow, result: RunResult) -> RunRecord:
    """The record of a run, with the CPU time of its unpruned and its pruned network, measured now."""
    info, context = run.info, run.context
    networks = {name: trained.model for name, trained in result.trained.items()}
    largest = next(iter(networks.values()))
    timed = {"dense": largest} if result.model is None else {"dense": largest, "pruned": result.model}
    return RunRecord(
        experiment=flow.experiment,
        settings=recorded_settings(flow.settings, info),
        seed=flow.settings.seed,
        data=info,
        spec=largest.spec,
        cost=total_cost(largest.spec, info.side),
        recipes=result.recipes,
        training={name: trained.history for name, trained in result.trained.items()},
        test={name: trained.test for name, trained in result.trained.items()},
        # Where networks are compared, `correct` tells them apart by image; matrices would be most of the record.
        confusion={} if result.compared else {name: trained.confusion for name, trained in result.trained.items()},
        scales=_rounded(scales(networks["sparse"])) if "sparse" in networks else {},
        steps=result.steps,
        sweep=result.sweep,
        compared=result.compared,
        correct=result.correct,
        sensitivity=result.sensitivity,
        latency=timed_in_turn({name: copy.deepcopy(network).cpu() for name, network in timed.items()}, info.side),
        provenance=provenance(context.train.device, context.execution.autocast, context.execution.ranks),
    )


def write_files(
    run: Run, flow: Flow, folder: Path, record: RunRecord, model: BilinearCNN | None
) -> tuple[RunRecord, list[str]]:
    """Write a run's files, the record last, and return it, with the time of the file that ships, and their names in
    `folder`. Raises FileExistsError where another run's record is in the way."""
    records = places(flow, run.info)
    written = [RECORD]
    with folder_lock(folder, lambda: run.context.callback.on_wait(folder)):
        for option, path in records.items():  # another process may have written there since `reserve` looked
            require_no_other(path, option, record.settings, run.info, record.recipes)
        if model is not None:
            _write_model(folder / "model.safetensors", record, model)
            written.append("model.safetensors")
            if record.scales:
                _draw_gamma(folder / "gamma.png", record)
                written.append("gamma.png")
            if ships := flow.settings.ships():
                record, told = _with_shipped(run, record, folder, model, *ships)
                written.append(told)
        written += sorted(path.name for path in folder.glob(f"*{storage.SUFFIX}"))
        if flow.settings.report:
            _write_report(folder / "report.html", record)
            written.append("report.html")
        for path in records.values():
            write_text(path, to_json(record))
    return record, written


def _with_shipped(
    run: Run, record: RunRecord, folder: Path, model: BilinearCNN, runtime: str, ms: float
) -> tuple[RunRecord, str]:
    """Write the file that ships; return the record with its time, and the file in words."""
    name = shipped.file_name(runtime)
    counted, latency = shipped.write(folder / name, model, _card(record, model), run.context.val, run.context.test)
    record = replace(record, latency={**record.latency, runtime: latency})
    return record, shipped.in_words(name, ms, counted, latency)


def _card(record: RunRecord, model: BilinearCNN) -> ModelCard:
    data = record.data
    return ModelCard(model.spec, data.class_names, data.name, data.side, data_digest=data.digest)


def _write_model(path: Path, record: RunRecord, model: BilinearCNN) -> None:
    unpruned, plan = record.spec, ChannelPlan.keep_all(record.spec)
    for step in record.steps:
        unpruned, plan = (step.spec, step.plan) if step.method else (unpruned, plan.then(step.plan))
    save(path, model, CheckpointInfo(_card(record, model), unpruned, plan))


def _draw_gamma(path: Path, record: RunRecord) -> None:
    # Here, not at the top: every command imports this module, and seaborn takes longer to import than torch.
    from thesis_figures import style
    from thesis_figures.figures import gamma

    style.write(gamma.draw(record), path)


def _write_report(path: Path, record: RunRecord) -> None:
    # Here, not at the top: it takes seconds to import, and packages that other runs do without.
    from thesis_figures.page import document
    from thesis_figures.page.run import RunView

    view = RunView(record, RECORD)
    write_text(path, document.render(view.title, "One run.", record.provenance["commit"], [view]))


def recorded_settings(settings: FlowSettings, info: DatasetInfo) -> dict[str, str | int | float | bool | None]:
    """The settings as a record holds them, a file of weights by name and checksum, since its path means nothing; width
    and weights are the recipe's where they are not given."""
    recipes = recipes_for(settings, info)
    weights = recipes.weights
    if weights not in NAMED_WEIGHTS:
        weights = f"{Path(weights).name} sha256 {weights_digest(Path(weights))}"
    told = settings.plain()
    told |= {name: value for name, value in (("width", recipes.width), ("weights", weights)) if name in told}
    return told


def run_folder(settings: FlowSettings, experiment: str, info: DatasetInfo) -> Path:
    """The folder that a run ends in."""
    return settings.out / experiment / info.name / settings.name(info)


def places(flow: Flow, info: DatasetInfo) -> dict[str, Path]:
    """Files that a run's record is written to, by the option that names their folder."""
    settings = flow.settings
    paths = {"--out": run_folder(settings, flow.experiment, info) / RECORD}
    if settings.results is not None:
        paths["--results"] = settings.results / flow.experiment / info.name / f"{settings.name(info)}.json"
    return paths


def _rounded(values: Mapping[str, Tensor]) -> dict[str, tuple[float, ...]]:
    return {layer: tuple(float(f"{value:.6g}") for value in scales.tolist()) for layer, scales in values.items()}
