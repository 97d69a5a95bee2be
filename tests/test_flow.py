"""The whole flow in seconds: one-shot pruning on a set of three colours, through the command's own `main`."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file

from bcnn_prune.data.batches import read_split
from bcnn_prune.data.format import describe
from bcnn_prune.evaluation.accuracy import evaluate
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.files import write_text
from bcnn_prune.model.checkpoint import load
from bcnn_prune.model.pretrained_files import read_trunk
from bcnn_prune.records import RunRecord, read_record, to_json
from experiments import criteria, iterative, oneshot, scratch, soft
from experiments.run import record as run_record
from tests.helpers.explicit_records import data
from tests.helpers.small_runs import as_arguments, prepare, settings_for
from thesis_figures.analysis.runs import share_cut

ARGUMENTS = {"width": 0.125, "prune": 0.4, "min_channels": 2, "recalibrate": 32}
EPOCHS = {"dense_epochs": 3, "sparse_epochs": 4, "fine_tune_epochs": 2}


def settings(folder: Path, **changes: object) -> oneshot.Settings:
    return oneshot.Settings(**settings_for(folder, **{"out": folder / "runs", **ARGUMENTS, **EPOCHS, **changes}))


def run_folder(folder: Path, **changes: object) -> Path:
    run = settings(folder, **changes)
    assert run.data is not None
    return run_record.run_folder(run, "oneshot", describe(run.data))


def record_in(folder: Path, **changes: object) -> RunRecord:
    return read_record(run_folder(folder, **changes) / "record.json")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flow")
    prepare(folder, side=24, width=0.125)
    oneshot.main(settings(folder))
    return folder


def test_the_record_describes_a_run_that_worked(finished: Path) -> None:
    record = record_in(finished)
    (step,) = record.steps
    assert record.test["dense"].accuracy == step.final.accuracy == 1
    assert step.certificate < 1e-4
    assert {name: matrix.evaluation for name, matrix in record.confusion.items()} == record.test
    assert step.confusion is not None
    assert step.confusion.evaluation == step.final
    assert record.spec.channels - step.spec.channels == round(0.4 * record.spec.channels)
    assert step.plan.narrow(record.spec) == step.spec
    assert step.cost == total_cost(step.spec, 24)
    assert min(step.spec.widths) >= 2
    assert list(record.training) == list(record.test) == ["dense", "sparse", "control"]
    on_val = {epoch.val.images for history in record.training.values() for epoch in history.epochs}
    assert on_val == {record.data.images["val"]}
    assert {found.images for found in record.test.values()} == {record.data.images["test"]} != on_val
    assert [len(history.epochs) for history in record.training.values()] == [3, 4, 2]
    assert record.training["sparse"].kept.scales_at_zero > record.training["dense"].kept.scales_at_zero
    assert set(record.latency) == {"dense", "pruned"}
    assert record.settings["prune"] == 0.4


def test_the_checkpoint_is_the_network_of_the_record(finished: Path) -> None:
    record = record_in(finished)
    model, info = load(run_folder(finished) / "model.safetensors")
    assert info.card.spec == record.steps[0].spec
    assert info.plan == record.steps[0].plan
    assert info.card.class_names == record.data.class_names
    test = read_split(finished / "set.h5", "test", torch.device("cpu"))
    assert evaluate(model, test) == record.steps[0].fine_tuned


def test_a_second_run_trains_nothing_and_ends_the_same(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = record_in(finished)
    oneshot.main(settings(finished))
    assert capsys.readouterr().out.count("finished before") == 4
    assert record_in(finished).repeatable() == before.repeatable()


def test_another_place_and_a_fresh_start_end_the_same(finished: Path, tmp_path: Path) -> None:
    oneshot.main(replace(settings(finished), out=tmp_path / "runs"))
    assert record_in(finished, out=tmp_path / "runs").repeatable() == record_in(finished).repeatable()


def test_a_streamed_and_watched_run_ends_as_a_run_from_memory(finished: Path, tmp_path: Path) -> None:
    changes = {"out": tmp_path / "runs", "data_cache": "stream", "tensorboard": True}
    words = as_arguments(settings_for(finished, **ARGUMENTS, **EPOCHS, **changes))
    # In its own process: one that had run other test files before was lost at the end of this run.
    subprocess.run([sys.executable, "-m", "experiments.oneshot", *words], check=True, capture_output=True, text=True)
    assert record_in(finished, out=tmp_path / "runs").repeatable() == record_in(finished).repeatable()
    folders = {path.parent.name for path in (tmp_path / "runs" / "tensorboard").rglob("events.*")}
    assert {folder.rpartition("-")[0] for folder in folders} == {"dense", "sparse", "fine-tune", "control"}
    assert folders == {path.name for path in (tmp_path / "runs" / "phases").glob("*/*") if path.is_dir()}


def test_repair_stands_between_the_cut_and_the_statistics(finished: Path) -> None:
    changes = {"repair": 16, "control": False, "fine_tune_epochs": 1}
    oneshot.main(settings(finished, **changes))
    record = record_in(finished, **changes)
    (step,), (plain,) = record.steps, record_in(finished).steps
    assert step.repaired is not None
    assert step.repaired.images == step.rebuilt.images
    assert (step.plan, step.rebuilt) == (plain.plan, plain.rebuilt)
    assert plain.repaired is None
    assert "repair" not in record_in(finished).settings


def test_a_cut_of_nothing_changes_nothing(finished: Path) -> None:
    """Rate 0 passes through surgery, too; without recalibration it is the sparse network itself."""
    oneshot.main(settings(finished, prune=0.0, recalibrate=0, control=False))
    record = record_in(finished, prune=0.0, recalibrate=0, control=False)
    assert record.steps[0].cost == record.cost
    assert record.steps[0].rebuilt == record.test["sparse"]
    assert record.steps[0].recalibrated is None
    assert "control" not in record.test


def test_a_budget_is_met_by_the_smallest_cut_and_widths_are_rounded_up(finished: Path) -> None:
    oneshot.main(settings(finished, prune=None, max_params="60k", max_macs="1.2M", multiple=8, control=False))
    record = record_in(finished, prune=None, max_params="60k", max_macs="1.2M", multiple=8, control=False)
    (step,) = record.steps
    assert step.cost.params <= 60_000
    assert step.cost.macs <= 1_200_000
    assert all(
        width % 8 == 0 or width == whole for width, whole in zip(step.spec.widths, record.spec.widths, strict=True)
    )
    assert step.spec.channels < record.spec.channels


def test_a_share_of_the_macs_by_every_rule_is_met_and_a_share_of_each_layer_stays(finished: Path) -> None:
    changes = {"prune": None, "keep_macs": 0.4, "min_channels": 1, "control": False, "fine_tune_epochs": 1}
    widths = {}
    for rule in ("mean", "rank"):
        oneshot.main(settings(finished, **changes, rule=rule))
        record = record_in(finished, **changes, rule=rule)
        (step,) = record.steps
        widths[rule] = step.spec.widths
        assert 0.3 * record.cost.macs < step.cost.macs <= 0.4 * record.cost.macs
        assert all(after >= 0.1 * before for after, before in zip(step.spec.widths, record.spec.widths, strict=True))
        assert (record.settings["rule"], record.settings["keep_macs"]) == (rule, 0.4)
    assert widths["mean"] != widths["rank"]
    shares = [after / before for after, before in zip(widths["rank"], record.spec.widths, strict=True)]
    assert max(shares) - min(shares) <= 1 / min(record.spec.widths) + 1e-9


@pytest.mark.parametrize(
    ("flow", "allocation"), [(iterative, "exact"), (soft, "ranking"), (criteria, "exact"), (scratch, "ranking")]
)
def test_every_flow_ends_within_a_budget(finished: Path, flow: ModuleType, allocation: str) -> None:
    changes: dict[str, object] = {"prune": None, "keep_macs": 0.5, "fine_tune_epochs": 1, "control": False}
    changes |= {"rule": "lamp", "allocation": allocation}
    changes |= {"criterion": "random"} if flow is criteria else {"steps": 2} if flow is iterative else {}
    changes = {**ARGUMENTS, **EPOCHS, **changes, "min_channels": 1}
    settings = flow.Settings(**settings_for(finished, out=finished / "runs", **changes))
    flow.main(settings)
    name = flow.__name__.rpartition(".")[2]
    record = read_record(run_record.run_folder(settings, name, describe(finished / "set.h5")) / "record.json")
    macs = [step.cost.macs / record.cost.macs for step in record.steps]
    assert 0.25 < macs[-1] <= 0.5  # exact allocation keeps no channel whose scale is zero
    assert len(macs) == 1 or macs[-1] < macs[0] <= 0.75


@pytest.mark.parametrize("steps", [1, 4])
def test_rounded_widths_cost_iterative_pruning_no_more_than_one_cut(finished: Path, steps: int) -> None:
    changes = {"prune": 0.6, "multiple": 16, "steps": steps, "fine_tune_epochs": 1, "control": False}
    settings = iterative.Settings(**settings_for(finished, out=finished / "runs", **{**ARGUMENTS, **EPOCHS, **changes}))
    iterative.main(settings)
    record = read_record(run_record.run_folder(settings, "iterative", describe(finished / "set.h5")) / "record.json")
    last = record.steps[-1].spec
    assert all(width % 16 == 0 or width == whole for width, whole in zip(last.widths, record.spec.widths, strict=True))
    assert last.channels <= 0.4 * record.spec.channels + 15 * len(last.widths)
    assert share_cut(record) == pytest.approx(1 - last.channels / record.spec.channels, abs=1e-6)


def test_other_settings_end_in_another_folder(finished: Path) -> None:
    info = data("drawn-cars3")
    runs = [{}, {"prune": 0.41}, {"last_sparsity": 0.2}, {"seed": 1}, {"update": "subgradient"}, {"backbone": "vgg13"}]
    names = [settings(finished, **changes).name(info) for changes in runs]
    assert len(set(names)) == len(runs)
    assert oneshot.Settings(dataset="cars", prune=0.4).name(info) == "prune0.4-seed0"
    assert oneshot.Settings(dataset="cars", prune=0.4, out=Path("elsewhere")).name(info) == "prune0.4-seed0"


def test_a_record_of_another_run_is_refused_before_training_and_stays(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed, record = settings(finished, out=tmp_path / "runs"), record_in(finished)
    path = run_record.run_folder(changed, "oneshot", record.data) / "record.json"
    write_text(path, to_json(replace(record, settings={**record.settings, "prune": 0.3})))
    before = path.read_bytes()
    with pytest.raises(
        FileExistsError, match=rf"{path} is the record of another run \(it differs in prune\), and stays"
    ):
        oneshot.main(changed)
    assert path.read_bytes() == before
    assert "dense:" not in capsys.readouterr().out


def test_a_flow_writes_its_record_where_results_says_too(finished: Path, tmp_path: Path) -> None:
    with_results = settings(finished, results=tmp_path)
    oneshot.main(with_results)
    record = record_in(finished)
    assert read_record(tmp_path / "oneshot" / record.data.name / f"{with_results.name(record.data)}.json") == record


def test_json_holds_no_path_of_this_machine(finished: Path) -> None:
    text = json.dumps(json.loads((next((finished / "runs" / "oneshot").rglob("record.json"))).read_text()))
    assert str(finished) not in text


def test_a_pretrained_trunk_has_its_classifier_trained_first_and_a_control_that_is_dense_as_long(
    finished: Path, tmp_path: Path
) -> None:
    changes = {"classifier_epochs": 2, "dense_as_long": "yes", "out": tmp_path}
    oneshot.main(settings(finished, **changes))
    record = record_in(finished, **changes)
    assert list(record.training) == list(record.test) == ["classifier", "dense", "sparse", "control", "dense-as-long"]
    assert [len(history.epochs) for history in record.training.values()] == [2, 3, 4, 2, 3 + 4 + 2]
    assert record.recipes["classifier"].trains == "classifier"
    assert record.recipes["dense-as-long"] == replace(record.recipes["dense"], epochs=9)
    first = read_trunk(finished / "first.safetensors", record.spec)
    (folder,) = tmp_path.glob("phases/*/classifier-*")
    left = load_file(folder / "weights.safetensors")
    assert all(torch.equal(left[f"trunk.{name}"], tensor) for name, tensor in first.items())
