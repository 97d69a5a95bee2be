"""Ways to select channels at equal cost: one flow, whose record says by image what each network is right on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.evaluation.layer_times import FINE_GRAIN
from bcnn_prune.records import read_record
from bcnn_prune.records.compared import unpack
from experiments import equal_cost
from experiments.run.clock import Clock
from experiments.run.execute import execute
from experiments.run.flow import Initial, Pruned, known, needs, phases_to
from tests.helpers import width_times
from tests.helpers.explicit_records import data
from tests.helpers.small_runs import prepare, settings_for
from thesis_figures.analysis.equal_cost import SELECTIONS
from thesis_figures.tables import equal_cost as tables

RULES = ("thesis", "mean", "sensitivity", "random-in-widths", "rank", "uniform")
EPOCHS = {"dense_epochs": 2, "sparse_epochs": 1, "fine_tune_epochs": 1}


def test_a_run_compares_networks_of_equal_cost_and_finds_them_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(tmp_path)
    given = settings_for(tmp_path, **EPOCHS, min_channels=1, keep_macs=(0.5,), rules=RULES, out=tmp_path / "runs")
    settings = equal_cost.Settings(**given)
    execute(settings, equal_cost.flows)
    (path,) = tmp_path.rglob("record.json")
    record = read_record(path)
    assert [(network.keep_macs, network.selection) for network in record.compared] == [(0.5, rule) for rule in RULES]
    assert list(record.test) == list(record.correct) == ["dense", "sparse", "control", "dense-as-long"]
    for name, bits in record.correct.items():
        assert unpack(bits, record.test[name].images).sum() == record.test[name].correct
    for network in record.compared:
        assert network.cost == total_cost(network.spec, record.data.side)
        assert network.cost.macs <= network.keep_macs * record.cost.macs
        assert unpack(network.correct, network.test.images).sum() == network.test.correct
        assert (network.before is None) == (network.selection == "uniform")
    widths = {network.selection: network.spec.widths for network in record.compared}
    assert widths["random-in-widths"] == widths["mean"] != widths["rank"]
    assert widths["uniform"] == widths["rank"]
    assert record.recipes["uniform"] == record.recipes["dense-as-long"]
    assert record.recipes["uniform"].epochs == sum(EPOCHS.values())

    capsys.readouterr()
    execute(replace(settings, rules=("random", "thesis")), equal_cost.flows)
    assert capsys.readouterr().out.count(" left\n") == 1  # the epoch of random: all others were trained before
    (again,) = (read_record(other) for other in tmp_path.rglob("record.json") if other != path)
    assert again.compared[1] == record.compared[0]
    assert again.compared[0].spec == next(one.spec for one in record.compared if one.selection == "rank")
    assert (again.test, again.correct) == (record.test, record.correct)

    table = tables.table([record, again], None)
    assert table is not None
    ways = [(row["keep_macs"], row["n"], row["accuracy_percent"].mean) for row in table.rows]
    tested = [*record.test.values(), *(one.test for one in record.compared), again.compared[0].test]
    assert sorted(ways) == sorted((0.5 if i > 3 else 1, 1, 100 * test.accuracy) for i, test in enumerate(tested))


def test_a_run_compares_networks_of_equal_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    width_times.install(monkeypatch)
    prepare(tmp_path)
    rules, told = ("mean", "rank", "random-in-widths", "mean-exact", "uniform"), {"keep_macs": (), "keep_ms": (0.6,)}
    given = settings_for(tmp_path, **EPOCHS, **told, min_channels=1, rules=rules, out=tmp_path / "runs")
    settings = equal_cost.Settings(**given)
    execute(settings, equal_cost.flows)
    (path,) = tmp_path.rglob("record.json")
    record = read_record(path)
    assert [(one.selection, one.keep_macs, one.keep_ms) for one in record.compared] == [
        (way, None, 0.6) for way in rules
    ]
    clock = Clock(record.spec, record.data.side, "onnx-int8", settings.out / "layer_times")
    for network in record.compared:
        whole = record.spec.widths
        assert all(a % FINE_GRAIN == 0 or a == b for a, b in zip(network.spec.widths, whole, strict=True))
        assert clock.measured(network.spec) <= 0.6 * 1.03 * clock.measured(record.spec)
    assert any(network.spec != record.spec for network in record.compared)

    table = tables.table([record], None)
    assert table is not None
    assert {(row.get("keep_macs"), row["keep_ms"]) for row in table.rows} == {(None, 1), (None, 0.6)}


def test_a_run_without_a_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="--keep-macs is empty"):
        equal_cost.Settings(dataset="cars", keep_macs=()).check()
    equal_cost.Settings(dataset="cars", keep_macs=(), keep_ms=(0.7,)).check()
    for share in (0, 1):
        with pytest.raises(ValueError, match="--keep-ms is"):
            equal_cost.Settings(dataset="cars", keep_ms=(share,)).check()


def test_every_way_has_its_name_in_tables_and_figures() -> None:
    assert set(SELECTIONS) == set(equal_cost.NAMES)


@pytest.mark.parametrize("told", [{}, {"distil": True}])
@pytest.mark.parametrize("dataset", ["cars", "birds50", "drawn-cars"])
def test_all_networks_are_cut_from_one_and_fine_tuned_alike(dataset: str, told: dict[str, Any]) -> None:
    (flow,) = equal_cost.flows(equal_cost.Settings(dataset=dataset, **told), data(dataset))
    assert len(flow.compared) == 4 * len(equal_cost.NAMES)
    cut = [network.phase for network in flow.compared if network.selection != "uniform"]
    starts = [phase.start for phase in cut if isinstance(phase.start, Pruned)]
    assert {start.start.name for start in starts} == {"sparse"}
    assert len({start.start for start in starts}) == 1
    assert {(phase.name, phase.recipe, phase.teacher) for phase in cut} == {
        ("fine-tune", cut[0].recipe, cut[0].teacher)
    }
    controls = {phase.name: phase for phase in flow.networks}
    assert cut[0].teacher == (controls["dense-as-long"] if told else None)
    measured = {
        one.selection
        for one in flow.compared
        if isinstance(one.phase.start, Pruned) and one.phase.start.cut.sensitivity
    }
    assert measured == {"sensitivity"}
    assert [phase.name for phase in flow.base][-2:] == ["dense", "sparse"]
    phases = set(flow.phases)
    for network in flow.compared:
        assert phases.issuperset(needs(network.phase))
    for phase in (network.phase for network in flow.compared if network.selection == "uniform"):
        first = phases_to(phase)[0].start
        assert isinstance(first, Initial)
        assert first.narrow == (first.weights != "none")
        assert known(phase.recipe).epochs == known(controls["dense-as-long"].recipe).epochs


def test_a_budget_that_only_layers_without_scores_could_meet_is_refused_for_the_criteria_that_rank_by_gates() -> None:
    info = data("drawn-cars")
    for rule, possible in (("thesis", False), ("fisher", True)):
        settings = equal_cost.Settings(dataset=info.name, head="flatten", keep_macs=(0.03,), rules=(rule,))
        spec = settings.unpruned(info)
        if possible:
            settings.check_network(spec, info.side)
        else:
            with pytest.raises(ValueError, match="cannot be met: with 4 to 1024 channels"):
                settings.check_network(spec, info.side)
