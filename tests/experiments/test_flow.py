"""Flows as values: a made-up one, defined in this file alone, is executed by a run and by a grid, and ends alike."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bcnn_prune.data.format import describe
from bcnn_prune.records import DatasetInfo, Distillation, Recipe, RunRecord, read_record
from experiments import ablation, criteria, iterative, oneshot, scratch, soft
from experiments.grid import serial
from experiments.grid.state import GridState
from experiments.run.cut_settings import PruneSettings
from experiments.run.execute import execute
from experiments.run.flow import Deferred, Flow, Phase, Pruned, cut_of, known, needs, phases_to, sparse_network
from experiments.run.settings import recipes_for
from tests.helpers.explicit_records import data
from tests.helpers.small_runs import prepare, settings_for


@dataclass(frozen=True, kw_only=True)
class Settings(PruneSettings):
    """The settings of all pruning runs."""


def flows(settings: Settings, info: DatasetInfo) -> Iterator[Flow]:
    """Half of the channels by |γ|, then, after training on, the other half at random."""
    sparse, recipe = sparse_network(settings, info), recipes_for(settings, info).fine_tune
    cut = cut_of(settings, info)
    assert isinstance(cut.drop, int)
    half = sparse.pruned(replace(cut, drop=cut.drop // 2)).then("fine-tune", recipe)
    yield Flow("halves", settings, phases_to(sparse), steps=(half, half.pruned(replace(cut, criterion="random"))))


def halves(folder: Path, out: str) -> Settings:
    epochs = {"dense_epochs": 3, "sparse_epochs": 2, "fine_tune_epochs": 1}
    return Settings(**settings_for(folder, **epochs, min_channels=1, prune=0.5, out=folder / out))


def record_in(folder: Path) -> RunRecord:
    (path,) = folder.rglob("record.json")
    return read_record(path)


def test_a_run_and_a_grid_execute_the_same_value(tmp_path: Path) -> None:
    prepare(tmp_path)
    execute(halves(tmp_path, "run"), flows)
    record = record_in(tmp_path / "run" / "halves")
    first, second = record.steps
    whole = record.spec.channels
    assert first.fine_tuned is not None
    assert second.fine_tuned is None
    assert [first.spec.channels, second.spec.channels] == [whole - whole // 2 // 2, whole - whole // 2]
    assert set(record.training) == {"dense", "sparse"}

    info = describe(tmp_path / "set.h5")
    given = halves(tmp_path, "grid").on(info)
    (flow,) = flows(given, info)
    one_shot = oneshot.Settings(**{**vars(given), "control": False})
    grid = GridState.of([(info, flow), *((info, other) for other in oneshot.flows(one_shot, info))])
    assert len(grid.phases_left()) == 4  # dense and sparse are those of both
    serial.run(grid, Console(quiet=True))
    assert grid.failed == {}
    assert record_in(tmp_path / "grid" / "halves").repeatable() == record.repeatable()
    assert len(list((tmp_path / "grid" / "phases").glob("*/*"))) == 4
    assert grid.phases_left() == {}


BY_SHARE: dict[str, Any] = {"dataset": "cars", "prune": 0.4}
BY_BUDGET: dict[str, Any] = {"dataset": "cars", "keep_macs": 0.3}


@pytest.mark.parametrize("flow", [oneshot, iterative, soft, criteria, scratch])
def test_phases_follow_those_that_they_need_and_start_from_one_network(flow: Any) -> None:
    for given in (BY_SHARE, BY_BUDGET, {**BY_SHARE, "distil": True}, {**BY_BUDGET, "distil": True}):
        settings = flow.Settings(**given)
        for planned in flow.flows(settings, data("cars")):
            seen = set[Phase]()
            for phase in planned.phases:
                assert seen.issuperset(needs(phase))
                seen.add(phase)
            assert [phase.name for phase in planned.base][-2:] == ["dense", "sparse"]
            assert seen.issuperset(planned.networks)


def test_a_budget_leaves_the_graph_as_it_is_and_defers_the_length_of_training() -> None:
    """By the thesis' recipe, which trains longer after larger cuts."""
    info = data("cars")
    (share,), (budget,) = (list(oneshot.flows(oneshot.Settings(**given), info)) for given in (BY_SHARE, BY_BUDGET))
    assert [phase.name for phase in share.phases] == [phase.name for phase in budget.phases]
    assert isinstance(share.phases[-1].recipe, Recipe)
    assert isinstance(budget.phases[-1].recipe, Deferred)
    assert isinstance(known(budget.phases[-1].recipe), Recipe)
    (tuned,) = budget.steps
    assert isinstance(tuned.start, Pruned)
    assert not isinstance(tuned.start.cut.drop, int)


def test_many_steps_towards_a_budget_are_planned_at_once() -> None:
    """A hash that walked each step's recipe and its start would take 2^40 times as long as that of one step."""
    (flow,) = iterative.flows(iterative.Settings(**BY_BUDGET, steps=40), data("cars"))
    assert len([phase for phase in flow.phases if phase.name == "fine-tune"]) == 40
    (again,) = oneshot.flows(oneshot.Settings(**BY_SHARE), data("cars"))
    last = again.phases[-1]
    copied = pickle.loads(pickle.dumps(last))
    assert "_hash" in vars(last)
    assert "_hash" not in vars(copied)
    assert (copied, hash(copied)) == (last, hash(last))


@pytest.mark.parametrize("flow", [oneshot, iterative, soft, criteria, scratch])
@pytest.mark.parametrize(
    ("given", "name"),
    [
        (BY_SHARE, "dense-as-long"),
        ({**BY_SHARE, "control": False}, "dense"),
        ({"dataset": "drawn-cars", "keep_macs": 0.3}, "dense"),
        (BY_BUDGET, "dense-as-long"),
    ],
)
def test_all_that_train_after_the_cut_learn_from_one_teacher(flow: Any, given: dict[str, Any], name: str) -> None:
    """In steps towards a budget the dense network: how long dense-as-long trains follows from the last cut."""
    if flow is iterative and given == BY_BUDGET:
        name = "dense"
    for planned in flow.flows(flow.Settings(**given, distil=True, distil_weight=0.5), data(given["dataset"])):
        (teacher,) = (phase for phase in planned.phases if phase.name == name)
        assert teacher in planned.networks
        for phase in planned.phases:
            taught = phase.name not in ("classifier", "dense", "sparse", "dense-as-long")
            assert phase.teacher == (teacher if taught else None)
            assert known(phase.recipe).distillation == (Distillation(4, 0.5) if taught else None)
    for planned in flow.flows(flow.Settings(**given), data(given["dataset"])):
        for phase in planned.phases:
            assert phase.teacher is known(phase.recipe).distillation is None


def test_a_distilled_run_records_how_it_was_taught(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(tmp_path)
    epochs = {"dense_epochs": 3, "sparse_epochs": 2, "fine_tune_epochs": 1}
    given = settings_for(tmp_path, **epochs, min_channels=1, keep_macs=0.5, dense_as_long="yes", out=tmp_path / "runs")
    settings = oneshot.Settings(**given, distil=True, distil_temperature=2)
    execute(settings, oneshot.flows)
    assert "distillation at T 2, weight 0.9" in capsys.readouterr().out
    record = record_in(tmp_path / "runs")
    assert record.settings["distil"] is True
    assert list(record.training) == ["dense", "sparse", "control", "dense-as-long"]
    (step,) = record.steps
    assert step.fine_tuning is not None
    assert record.recipes["fine-tune"].distillation == record.recipes["control"].distillation == Distillation(2, 0.9)
    assert record.recipes["dense-as-long"].distillation is None
    for name, history in {**record.training, "fine-tune": step.fine_tuning}.items():
        assert all((stats.label_loss is not None) == (name in ("control", "fine-tune")) for stats in history.epochs)
    execute(settings, oneshot.flows)
    assert capsys.readouterr().out.count("finished before") == 5


@pytest.mark.parametrize("given", [BY_SHARE, BY_BUDGET])
def test_a_criterion_alone_is_trained_as_it_is_among_all(given: dict[str, Any]) -> None:
    """Its record has the same name: by a budget all train as long as the criterion that lost most."""

    def followed(planned: Flow) -> list[str]:
        (tuned,) = planned.steps
        return [cut.cut.criterion for cut in tuned.recipe.cuts] if isinstance(tuned.recipe, Deferred) else []

    among = {flow.settings.criterion: flow for flow in criteria.flows(criteria.Settings(**given), data("cars"))}
    (alone,) = criteria.flows(criteria.Settings(**given, criterion="fisher"), data("cars"))
    assert alone.settings == among["fisher"].settings
    assert alone.recipes == among["fisher"].recipes
    assert followed(alone) == followed(among["fisher"])


def test_a_share_at_zero_that_lambda_follows_can_be_asked_of_the_ablation() -> None:
    """Where one network is trained on without L1, whose recipe must have no share at zero either."""
    info = data("drawn-cars")
    settings = ablation.Settings(dataset="drawn-cars", sparsity="auto", sparsity_share=0.3, scale_weight_decay=0.01)
    recipes = {flow.settings.variant: flow.recipes for flow in ablation.flows(settings, info)}
    assert recipes["bcnn-bn-l1"]["sparse"].sparsity_share == 0.3
    longer = recipes["bcnn-bn-longer"]["longer"]
    assert (longer.sparsity, longer.sparsity_share, longer.scale_weight_decay) == (0, 0, None)
