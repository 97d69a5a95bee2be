"""The whole chapter on a set of three colours: every flow ends in its record, and a kill changes none."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bcnn_prune.protocol import Cut, RunAborted
from bcnn_prune.pruning.importance import CRITERIA
from bcnn_prune.records import Recipe, RunRecord
from experiments import thesis
from experiments.grid import serial
from experiments.grid.planning import GridSettings, planned_runs
from experiments.grid.state import GridState, Task
from experiments.run.flow import Flow, Phase, needs
from experiments.run.record import finished_record
from experiments.run.settings import recipes_for
from tests.helpers.explicit_records import data
from tests.helpers.small_grid import RUNS, in_a_child, records, settings
from tests.helpers.small_runs import SET


def test_every_flow_leaves_its_records(finished: Path) -> None:
    saved = records(finished / "whole" / "results")
    counts = {name: sum(record.experiment == name for record in saved.values()) for name in RUNS}
    assert counts == RUNS
    assert len(saved) == sum(RUNS.values())
    assert {record.data.name for record in saved.values()} == {SET}


def test_one_shot_and_iterative_end_with_as_many_channels(finished: Path) -> None:
    saved = records(finished / "whole" / "results").values()
    iterative, once = sorted(
        (record for record in saved if record.experiment == "iterative"), key=lambda r: -len(r.steps)
    )
    (oneshot,) = (
        record
        for record in saved
        if record.experiment == "oneshot"
        and (record.settings["prune"], record.settings["last_sparsity"]) == (0.8, None)
    )
    assert len(iterative.steps) == 4
    assert len(once.steps) == 1
    tuned = [sum(len(s.fine_tuning.epochs) for s in r.steps if s.fine_tuning) for r in (iterative, once)]
    assert tuned == [4, 4]
    assert once.training["control"].without_clock() == iterative.training["control"].without_clock()
    assert iterative.steps[-1].spec.channels == oneshot.steps[-1].spec.channels
    assert iterative.scales == oneshot.scales
    left = [step.spec.channels / iterative.spec.channels for step in iterative.steps]
    assert left == pytest.approx([0.8, 0.6, 0.4, 0.2], abs=1 / iterative.spec.channels)
    assert iterative.steps[0].final == next(
        record.steps[0].final
        for record in saved
        if record.experiment == "oneshot"
        and (record.settings["prune"], record.settings["last_sparsity"]) == (0.2, None)
    )


def test_criteria_cut_as_many_channels_but_not_the_same(finished: Path) -> None:
    saved = [r for r in records(finished / "whole" / "results").values() if r.experiment == "criteria"]
    assert len({record.steps[0].spec.channels for record in saved}) == 1
    plans = {tuple(record.steps[0].plan.kept.items()) for record in saved}
    assert len(plans) >= len(CRITERIA) - 1  # fisher-head differs from fisher in the last layer alone


def test_scratch_trains_the_pruned_shape_as_many_epochs_and_as_much(finished: Path) -> None:
    (record,) = (r for r in records(finished / "whole" / "results").values() if r.experiment == "scratch")
    epochs = {name: len(history.epochs) for name, history in record.training.items()}
    assert epochs["scratch-epochs"] == epochs["dense"] + epochs["sparse"] + 1
    wide = (epochs["dense"] + epochs["sparse"]) * record.cost.macs
    spent = (epochs["scratch-compute"] - 1) * record.steps[0].cost.macs
    assert spent == pytest.approx(wide, abs=record.steps[0].cost.macs)


def test_soft_pruning_is_judged_and_cut_with_channels_at_zero(finished: Path) -> None:
    for record in records(finished / "whole" / "results").values():
        if record.experiment == "soft":
            history = record.training["soft"]
            assert all(stats.zeroing is not None for stats in history.epochs)
            assert all(stats.zeroing is None for stats in record.training["control"].epochs)
            (step,) = record.steps
            assert step.rebuilt == record.test["soft"]  # zeroed channels are silent ones
            assert history.kept.zeroing is not None
            assert history.kept.val == history.kept.zeroing.after
            assert history.kept.zeroing.zeroed == record.spec.channels - step.spec.channels


def test_the_sweep_trains_nothing_and_tells_three_accuracies(finished: Path) -> None:
    (record,) = (r for r in records(finished / "whole" / "results").values() if r.experiment == "sweep")
    assert set(record.training) == {"classifier", "dense", "sparse"}
    assert len(record.sweep) == 9
    for step in record.sweep:
        assert step.absorbed is not None
        assert step.recalibrated is not None
        assert step.fine_tuned is None


def test_a_second_command_runs_nothing(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished
    before = {path: path.stat().st_mtime_ns for path in (folder / "whole").rglob("record.json")}
    thesis.main(settings(folder, "whole"))
    assert f"{sum(RUNS.values())} runs in all, {sum(RUNS.values())} finished before." in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (folder / "whole").rglob("record.json")} == before


def test_what_stands_among_the_results_is_not_run_again(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished
    given = replace(settings(folder, "elsewhere"), results=folder / "whole" / "results")
    before = {path: path.stat().st_mtime_ns for path in (folder / "whole" / "results").rglob("*.json")}
    thesis.main(given)
    assert f"{sum(RUNS.values())} runs in all, {sum(RUNS.values())} finished before." in capsys.readouterr().out
    assert not (folder / "elsewhere").exists()
    assert {path: path.stat().st_mtime_ns for path in (folder / "whole" / "results").rglob("*.json")} == before


def test_killed_and_started_again_it_ends_with_the_same_records(finished: Path) -> None:
    """Of three flows: of several steps, of a phase that zeroes, and of phases that wait for the cut."""
    flows = ("iterative", "soft", "scratch")
    for phase in (2, 9):
        assert in_a_child(finished, "killed", *flows, kill_in_phase=phase)
    assert not in_a_child(finished, "killed", *flows)
    whole, killed = (records(finished / out / "results") for out in ("whole", "killed"))
    expected = {name: record.repeatable() for name, record in whole.items() if name.startswith(flows)}
    assert len(expected) == sum(RUNS[flow] for flow in flows)
    assert {name: record.repeatable() for name, record in killed.items()} == expected


def test_impossible_runs_are_reported_before_anything_trains_and_the_others_run(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished / "whole" / "phases", tmp_path / "phases")
    given = replace(settings(finished, "whole"), out=tmp_path, results=None, min_channels=8, flows=("oneshot",))
    with pytest.raises(RunAborted, match=r"^2 runs came to no result: .*prune0\.8.*, .*prune0\.8.*: .* at most .* can"):
        thesis.main(given)
    said = capsys.readouterr().out
    assert said.index("2 of them cannot be trained: ") < said.index("run 1 of 8")
    assert len(list((tmp_path / "oneshot").rglob("record.json"))) == 6


def test_any_error_of_a_run_stops_no_other(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks() -> None:
        raise KeyError("conv5_3")

    shutil.copytree(finished / "whole" / "phases", tmp_path / "phases")
    given = replace(settings(finished, "whole"), out=tmp_path, results=None)
    info = records(finished / "whole" / "results").popitem()[1].data
    grid = GridState.of([(info, flow) for flow in planned_runs(given, info, seed=0) if flow.experiment == "soft"])
    ending = GridState.ending

    def broken(grid: GridState, position: int) -> Task:
        return ending(grid, position) if position else replace(ending(grid, position), work=breaks)

    monkeypatch.setattr(GridState, "ending", broken)
    serial.run(grid, Console(quiet=True))
    log = grid.folder(0) / "log.txt"
    assert grid.failed == {0: f"KeyError: 'conv5_3' (see {log})"}
    assert "in breaks" in log.read_text()
    assert [record is not None for record in grid.records] == [False, True, True]


def test_a_penalty_that_is_the_heavier_one_is_planned_once() -> None:
    info = data("drawn-cars")
    settings = GridSettings(dataset="drawn-cars", last_sparsity=5e-2)
    names = [(flow.experiment, flow.settings.name(info)) for flow in planned_runs(settings, info, seed=0)]
    assert len(names) == len(set(names))
    assert recipes_for(settings, info).heavier == settings.last_sparsity


def test_the_rule_that_a_set_decides_is_that_of_all_cuts() -> None:
    settings = GridSettings(dataset="mine", rule="auto")
    flows = planned_runs(settings, data("mine"), seed=0)
    (sweep,) = (flow for flow in flows if flow.experiment == "sweep")
    assert {cut.cut.rule for cut in sweep.sweep if isinstance(cut.cut, Cut)} == {"mean"}


def test_a_grid_on_a_narrowed_trunk_has_its_runs_from_fresh_weights_too() -> None:
    settings = GridSettings(dataset="mine", weights="tiny", narrow=True, width=0.2)
    weights = set()
    for flow in planned_runs(settings, data("mine"), seed=0):
        flow.settings.check()
        weights.add(flow.settings.weights)
    assert weights == {"tiny", "none"}


def test_other_recipes_are_not_taken_for_finished(finished: Path) -> None:
    """A record made by another recipe under the same name is not this run's."""
    folder = finished
    given = settings(folder, "whole")
    info = records(folder / "whole" / "results").popitem()[1].data
    (first, *_) = planned_runs(given, info, seed=0)
    assert finished_record(first, info) is not None
    dense = first.networks[0]
    assert isinstance(dense.recipe, Recipe)
    longer = replace(first, networks=(replace(dense, recipe=replace(dense.recipe, epochs=9)),), steps=())
    assert finished_record(longer, info) is None
    assert finished_record(first, replace(info, digest="other images")) is None


def planned_for(finished: Path) -> tuple[list[Flow], dict[str, RunRecord]]:
    """The runs, and what they left by their files' names."""
    saved = records(finished / "whole" / "results")
    return list(planned_runs(settings(finished, "whole"), next(iter(saved.values())).data, seed=0)), saved


def test_runs_name_each_phase_that_they_train_and_no_other(finished: Path) -> None:
    """Equal phases of two runs are one folder of states: so many are there, of each kind."""
    runs, _ = planned_for(finished)
    planned = Counter(phase.name for phase in {phase for run in runs for phase in run.phases})
    cached = Counter(path.name.rpartition("-")[0] for path in finished.glob("whole/phases/*/*"))
    alike = planned - cached  # fisher and fisher-head may cut alike
    assert planned == cached + alike
    assert alike <= Counter({"fine-tune": 1})


def test_runs_name_the_epochs_of_their_phases(finished: Path) -> None:
    runs, saved = planned_for(finished)
    info = next(iter(saved.values())).data
    for run in runs:
        record = saved[f"{run.experiment}/{SET}/{run.settings.name(info)}.json"]
        trained = {name: len(history.epochs) for name, history in record.training.items() if name != "scratch-compute"}
        named = {phase.name: phase.epochs for phase in run.phases}
        assert {name: named[name] for name in trained} == trained
        tuned = [len(step.fine_tuning.epochs) for step in record.steps if step.fine_tuning]
        assert [phase.epochs for phase in run.phases if phase.name == "fine-tune"] == tuned


def test_the_tasks_of_a_grid_train_each_phase_once_after_those_that_it_needs(finished: Path) -> None:
    runs, saved = planned_for(finished)
    grid = GridState([(next(iter(saved.values())).data, flow) for flow in runs], [None] * len(runs))
    trained: set[Phase] = set()
    for task in grid.tasks():
        assert trained.issuperset(task.after)
        if task.phase is not None:
            assert task.phase not in trained
            assert set(task.after) == set(needs(task.phase))
            trained.add(task.phase)
    assert trained == {phase for flow in runs for phase in flow.phases}
    assert [task.run for task in grid.tasks() if task.phase is None] == list(range(len(runs)))
    logs = [task.log for task in grid.tasks()]
    assert len(logs) == len(set(logs))
