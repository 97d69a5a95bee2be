"""Ways to make a network small: each is one flow within a budget, trained as long as all others."""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from filelock import FileLock, Timeout

from bcnn_prune.compression import storage
from bcnn_prune.compression.sparse import magnitude_pruned
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.files import checksum, write_text
from bcnn_prune.model.checkpoint import load
from bcnn_prune.model.init import fresh
from bcnn_prune.records import Evaluation, Latency, RunRecord, SpeedUp, json_file, read_record
from bcnn_prune.records.deploy import DEPLOYED, FOLDER, REPORT, DeployReport, VariantReport, to_json
from bcnn_prune.records.file_latency import FileTime, FileTimes, file_of
from bcnn_prune.records.latency import Times, Timing
from bcnn_prune.spec import ModelSpec
from experiments import compress
from experiments.run import pack
from experiments.run.budget import Budget
from experiments.run.choose import Candidate, best, candidates, table
from experiments.run.convert import narrowed, weights_kept
from experiments.run.flow import Flow, known, phases_to
from tests.helpers.explicit_records import SIDE, data
from tests.helpers.small_runs import prepare, settings_for

METHODS = ("width", "low_rank", "sparse")
FAST = Latency(0.0001, 0.0001, 0.0001, 9, batch=1, threads=1)
EPOCHS = {"dense_epochs": 2, "sparse_epochs": 1, "fine_tune_epochs": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, RunRecord]]:
    """Records of three methods, and the files that they are in, of a set of their own."""
    folder = tmp_path_factory.mktemp("compressed")
    prepare(folder)
    given = settings_for(folder, **EPOCHS, min_channels=1, keep_macs=0.5, out=folder / "runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compress, "METHODS", METHODS)
        compress.main(compress.Settings(**given))
    records = ((path, read_record(path)) for path in sorted(folder.rglob("record.json")))
    return {str(record.settings["method"]): (path, record) for path, record in records}


@pytest.fixture
def low_rank(finished: dict[str, tuple[Path, RunRecord]], tmp_path: Path) -> tuple[Path, RunRecord]:
    """The record of low rank, in a copy of all these runs that the test may write to."""
    path, record = finished["low_rank"]
    shutil.copytree(path.parents[3], tmp_path / "runs")
    return tmp_path / "runs" / path.relative_to(path.parents[3]), record


def test_a_network_of_each_kind_is_trained_and_stored(finished: dict[str, tuple[Path, RunRecord]]) -> None:
    assert set(finished) == set(METHODS)
    for method, (path, record) in finished.items():
        (step,) = record.steps
        assert step.method == method
        assert step.cost == total_cost(step.spec, record.data.side)
        assert (step.cost.macs <= 0.5 * record.cost.macs) == (method != "sparse")
        model, about = load(path.parent / "model.safetensors")
        assert model.spec == about.unpruned == step.spec
        for packed in step.packed:
            file = path.parent / f"model-{packed.bits}bit.packed"
            network, card = storage.load(file)
            assert (card.spec, file.stat().st_size) == (step.spec, packed.file_bytes)
            assert all(len(weight.unique()) <= 2**packed.bits for weight in network.parameters() if weight.ndim > 1)
        assert [packed.bits for packed in step.packed] == [8, 4]
    whole = finished["sparse"][1]
    stored = whole.steps[0].packed[0]
    assert stored.nonzero < 0.55 * whole.cost.params
    assert stored.nonzero_macs is not None
    assert 0 < stored.nonzero_macs < whole.cost.macs


def test_the_best_within_limits_is_chosen(
    low_rank: tuple[Path, RunRecord],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, record = low_rank
    runs = tmp_path / "runs"
    monkeypatch.setattr(compress, "RESULTS", tmp_path / "none")
    report = path.parent / DEPLOYED / REPORT
    write_text(report, to_json(deployed(record, checksum=checksum(path.parent / "model.safetensors"))))
    compress.main(compress.Settings(choose=True, out=runs, max_bytes="20k"))
    assert "low_rank" in capsys.readouterr().out
    found = candidates([runs])
    small = best(found, {"max_bytes": 20_000})
    assert {one.stored for one in small} == {"8 bits, packed", "4 bits, packed", "onnx-int8"}
    assert [one.val.accuracy for one in small] == sorted((one.val.accuracy for one in small), reverse=True)
    (fast,) = best(found, {"max_ms": 0.001})
    assert (fast.stored, fast.cost["max_bytes"], fast.record) == ("onnx-int8", 5_000, record)
    with pytest.raises(ValueError, match="none of 10 networks meets these limits together; the least"):
        compress.main(compress.Settings(choose=True, out=runs, max_bytes="1"))
    assert {str(one.record.settings["method"]) for one in candidates([runs], method="width")} == {"width"}
    assert len(candidates([runs], record.data.name)) == len(found)
    write_text(report, to_json(deployed(record, checksum="of a network before")))
    assert len(candidates([runs])) == len(found) - 1


def test_the_best_on_val_comes_first_and_of_equals_the_smaller(low_rank: tuple[Path, RunRecord]) -> None:
    _, record = low_rank
    made = [
        Candidate(record, str(i), Evaluation(10, right), Evaluation(10, 10 - right), {"max_bytes": size})
        for i, (right, size) in enumerate(((5, 1), (9, 3), (9, 2)))
    ]
    assert [one.stored for one in best(made, {"max_bytes": 9})] == ["2", "1", "0"]
    of_another_set = replace(record, data=replace(record.data, name="a"))
    made.append(Candidate(of_another_set, "3", Evaluation(10, 1), Evaluation(10, 1), {"max_bytes": 9}))
    assert [one.stored for one in best(made, {"max_bytes": 9})] == ["3", "2", "1", "0"]
    cost = dict.fromkeys(("max_bytes", "max_params", "max_macs", "max_ms"), 1.0)
    assert table([replace(one, cost=cost) for one in [made[0]] * 20 + [made[3]]]).row_count == 10 + 1


def test_a_report_among_results_is_chosen_from_too(low_rank: tuple[Path, RunRecord], tmp_path: Path) -> None:
    path, record = low_rank
    results, name = tmp_path / "results", path.parent.name
    write_text(results / "compress" / record.data.name / f"{name}.json", path.read_text(encoding="utf-8"))
    write_text(results / FOLDER / record.data.name / f"compress-{name}.json", to_json(deployed(record, checksum="")))
    assert best(candidates([results]), {"max_ms": 0.001})[0].record == record


def test_a_file_that_was_not_timed_has_the_time_of_its_shape(low_rank: tuple[Path, RunRecord], tmp_path: Path) -> None:
    path, record = low_rank
    spec, side, name = record.steps[-1].spec, record.data.side, path.parent.name
    write_text(tmp_path / "compress" / record.data.name / f"{name}.json", path.read_text(encoding="utf-8"))
    report = deployed(record, checksum="")
    variants = {**report.variants, "onnx": VariantReport(20_000, record.steps[-1].final, 1, 0.0)}
    told = to_json(replace(report, variants=variants, times=None))
    write_text(tmp_path / FOLDER / record.data.name / f"compress-{name}.json", told)
    other = FileTime(side, record.spec, Latency(5, 5, 5, 9, batch=1, threads=1))
    for files, timed in (([], set()), ([other], set()), ([other, FileTime(side, spec, FAST)], {"onnx-int8"})):
        write_text(file_of(tmp_path), json_file.to_json(FileTimes("onnx-int8", tuple(files), {})))
        found = candidates([tmp_path / "none", tmp_path])
        assert {one.stored for one in found} >= {"onnx", "onnx-int8"}
        assert {one.stored for one in found if one.cost["max_ms"] < math.inf} & set(variants) == timed
        assert best(found, {"max_bytes": 30_000})
        assert table(found).row_count == min(len(found), 10)
    assert best(found, {"max_ms": 0.001})[0].cost["max_bytes"] == 5_000


def test_where_nothing_can_be_chosen_from_is_said(
    low_rank: tuple[Path, RunRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compress, "RESULTS", tmp_path / "none")
    for dataset, method, message in (("", "prune", " by prune"), (str(tmp_path), "", f" on {tmp_path}"), ("*", "", "")):
        with pytest.raises(ValueError, match=f"there are no records of compress{message}"):
            candidates([tmp_path / "runs"], dataset, method)
    with pytest.raises(ValueError, match="there are no records of compress yet"):
        compress.main(compress.Settings(choose=True, out=tmp_path / "nothing"))


def deployed(record: RunRecord, checksum: str) -> DeployReport:
    """The report of a network whose int8 file takes no time."""
    spec = record.steps[-1].spec
    return DeployReport(
        checkpoint=checksum,
        spec=spec,
        unpruned=spec,
        dataset=record.data.name,
        data_digest=record.data.digest,
        side=record.data.side,
        calibration_images=1,
        kept=(),
        vnni=False,
        variants={name: VariantReport(5_000, record.steps[-1].final, 1, 0.0) for name in ("torch", "onnx-int8")},
        times=Times(1.0, {"onnx-int8": (Timing(1, FAST, SpeedUp(1, 1, 1)),)}),
        provenance={},
    )


def epochs(flow: Flow) -> int:
    """Epochs of the last network from the first weights on, the classifier's alone left out."""
    return sum(known(phase.recipe).epochs for phase in phases_to(flow.steps[-1]) if phase.name != "classifier")


@pytest.mark.parametrize(
    ("dataset", "told"), [("birds50", {"distil": True, "keep_macs": 0.3}), ("drawn-cars", {"max_params": "100k"})]
)
def test_all_methods_train_as_long_as_the_dense_network(dataset: str, told: dict[str, Any]) -> None:
    flows = list(compress.flows(compress.Settings(dataset=dataset, width=0.25, **told), data(dataset)))
    assert {flow.settings.method for flow in flows} <= set(compress.METHODS)  # type: ignore[attr-defined]
    assert len(flows) >= 5
    for flow in flows:
        (as_long,) = (phase for phase in flow.networks if phase.name == "dense-as-long")
        assert epochs(flow) == known(as_long.recipe).epochs
        taught = [phase for phase in flow.phases if phase.teacher]
        assert bool(taught) == (flow.settings.distil)  # type: ignore[attr-defined]
        assert all(phase.teacher == as_long for phase in taught)
    names = [flow.settings.name(data(dataset)) for flow in flows]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("method", ["low_rank", "distil", "prune", "sparse"])
def test_the_dense_network_is_not_trained_as_long_where_it_is_not_wanted(method: str) -> None:
    settings = compress.Settings(dataset="drawn-cars", method=method, keep_macs=0.5, dense_as_long="no")
    settings.check()
    for flow in compress.flows(settings, data("drawn-cars")):
        assert "dense-as-long" not in [phase.name for phase in flow.phases]


def test_a_student_is_of_its_own_backbone_and_starts_fresh() -> None:
    settings = compress.Settings(dataset="birds50", method="distil", student="mobilenet", keep_macs=0.3)
    (flow,) = compress.flows(settings, data("birds50"))
    (*_, first), (last,) = phases_to(flow.steps[-1]), flow.steps
    start = first.start
    assert start.spec.backbone == "mobilenet"  # type: ignore[union-attr]
    assert start.weights == "none"  # type: ignore[union-attr]
    assert known(last.recipe).distillation is not None  # type: ignore[union-attr]


def test_single_weights_and_all_other_parameters_share_a_budget() -> None:
    spec, budget = (
        compress.Settings(dataset="drawn-cars", width=0.25).unpruned(data("drawn-cars")),
        Budget(SIDE, 50_000),
    )
    pruned = magnitude_pruned(fresh(spec, torch.Generator().manual_seed(0)), 1 - weights_kept(spec, budget))
    for parameter in pruned.parameters():
        if parameter.ndim == 1:
            parameter.data.fill_(1)
    assert sum(int(parameter.count_nonzero()) for parameter in pruned.parameters()) == pytest.approx(50_000, abs=1)
    with pytest.raises(ValueError, match="--max-params 1000 cannot be met: biases and BatchNorms alone have"):
        weights_kept(spec, Budget(SIDE, 1_000))
    with pytest.raises(ValueError, match=r"--max-macs 20 cannot be met: not one of [0-9,]+ weights could stay"):
        weights_kept(spec, Budget(SIDE, macs=20))


def test_a_budget_that_no_method_meets_is_refused() -> None:
    settings = compress.Settings(dataset="drawn-cars", width=0.25, max_macs="1")
    with pytest.raises(ValueError, match="no method can make the network so small"):
        list(compress.flows(settings, data("drawn-cars")))


def test_a_form_that_no_layer_takes_is_refused() -> None:
    settings = compress.Settings(
        dataset="drawn-cars", backbone="mobilenet", head="average", method="grouped", max_macs="1G"
    )
    with pytest.raises(ValueError, match=r"no layer of mobilenet .* takes the form grouped"):
        list(compress.flows(settings, data("drawn-cars")))


def test_leaving_out_a_control_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="--no-control means nothing here"):
        compress.Settings(dataset="drawn-cars", method="width", keep_macs=0.5, control=False).check()


def test_the_method_that_distils_takes_the_teachers_weight() -> None:
    compress.Settings(dataset="drawn-cars", method="distil", keep_macs=0.5, distil_weight=0.5).check()
    with pytest.raises(ValueError, match="--distil-weight means nothing without --distil"):
        compress.Settings(dataset="drawn-cars", method="width", keep_macs=0.5, distil_weight=0.5).check()


def test_choosing_within_a_share_of_some_network_is_refused() -> None:
    with pytest.raises(ValueError, match="--keep-macs is a share of one run's network: with --choose give --max-macs"):
        compress.Settings(choose=True, keep_macs=0.3).check()


@pytest.mark.parametrize("given", [{"width": 0.5}, {"student": "vgg11"}, {"seed": 1}])
def test_choosing_by_what_no_list_is_filtered_by_is_refused(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(ValueError, match=f"--{name} means nothing with --choose: leave it out"):
        compress.Settings(choose=True, **given).check()
    compress.Settings(choose=True, dataset="cars50", method="prune", max_bytes="20k").check()


def test_one_run_at_a_time_writes_packed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path)
    written = []

    def save(path: Path, *arguments: Any) -> None:
        with pytest.raises(Timeout):
            FileLock(path.parent / ".lock").acquire(timeout=0)
        written.append(path.name)
        storage.save(path, *arguments)

    monkeypatch.setattr(pack, "storage", SimpleNamespace(save=save, load=storage.load, SUFFIX=storage.SUFFIX))
    given = settings_for(tmp_path, **EPOCHS, keep_macs=0.5, out=tmp_path / "runs")
    compress.main(compress.Settings(**given, method="width"))
    assert written == ["model-8bit.packed", "model-4bit.packed"]


def test_a_narrower_network_has_widths_in_multiples_or_whole() -> None:
    spec = ModelSpec.of("vgg16", 3, 0.125)
    budget = Budget.keeping(0.3, spec, 64)
    plain, rounded = (narrowed(spec, budget, multiple) for multiple in (1, 8))
    assert any(width % 8 for width in plain.widths)
    for width, whole in zip(rounded.widths, spec.widths, strict=True):
        assert width % 8 == 0 or width == whole
    assert total_cost(rounded, 64).macs <= 0.3 * total_cost(spec, 64).macs
