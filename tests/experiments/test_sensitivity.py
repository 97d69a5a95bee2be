"""Layers cut one by one, the cut that follows from it, and plans of equal cost before and after fine-tuning."""

from pathlib import Path
from typing import Any

import pytest
import scipy.stats
import torch

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.records import RunRecord, read_record
from bcnn_prune.spec import ModelSpec
from experiments import oneshot, proxy, sensitivity
from experiments.run.budget import Budget
from tests.helpers.explicit_records import THESIS
from tests.helpers.small_runs import prepare, settings_for
from thesis_figures.analysis import proxy as proxy_analysis
from thesis_figures.figures import proxy as proxy_figure
from thesis_figures.tables import proxy as proxy_table

EPOCHS = {"dense_epochs": 2, "sparse_epochs": 1, "fine_tune_epochs": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sensitivity")
    prepare(folder)
    return folder


def run(folder: Path, flow: Any, **given: Any) -> RunRecord:
    names = set(flow.Settings.__dataclass_fields__)
    floor = {} if flow is sensitivity else {"min_channels": 1}
    told = settings_for(folder, **EPOCHS, **floor, recalibrate=16, out=folder / "runs", **given)
    flow.main(flow.Settings(**{name: value for name, value in told.items() if name in names}))
    (path,) = (folder / "runs" / flow.__name__.rpartition(".")[2]).rglob("record.json")
    return read_record(path)


def test_each_layer_is_counted_on_val_and_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = run(folder, sensitivity, shares=(0.25, 0.5))
    found = record.sensitivity
    assert found is not None
    assert found.whole.images == record.data.images["val"]
    assert tuple(found.widths) == tuple(found.correct) == record.spec.layers
    assert found.whole == record.training["sparse"].kept.val
    assert all(max(widths) < record.spec.width_of[layer] for layer, widths in found.widths.items())
    assert "its change in points with one layer cut to a width" in capsys.readouterr().out


def test_a_cut_by_sensitivity_meets_its_budget(folder: Path) -> None:
    record = run(folder, oneshot, keep_macs=0.5, allocation="sensitivity", control=False)
    (step,) = record.steps
    assert step.cost.macs <= 0.5 * record.cost.macs
    assert 0 <= step.threshold <= 1.5


def test_plans_of_equal_cost_are_correlated_before_and_after_fine_tuning(folder: Path) -> None:
    record = run(folder, proxy, plans=3, keep_macs=0.5)
    assert [network.selection for network in record.compared] == ["plan 1", "plan 2", "plan 3"]
    assert len({network.spec.widths for network in record.compared}) == 3
    for network in record.compared:
        assert network.before is not None
        assert network.cost == total_cost(network.spec, record.data.side)
        assert 0.8 * 0.5 < network.cost.macs / record.cost.macs <= 0.5
    assert proxy_table.table([], THESIS) is None
    made = proxy_table.table([record], THESIS)
    assert made is not None
    (row,) = made.rows
    assert (row["plans"], row["keep_macs"], row["n"]) == (3, 0.5, 1)
    (marks,) = proxy_figure.draw({"three colours": [record]}).axes[0].lines
    expected = [(one.before and one.before.accuracy, one.test.accuracy) for one in record.compared]
    assert list(map(tuple, marks.get_xydata())) == expected


def test_each_seed_draws_plans_of_its_own() -> None:
    spec, fewest = ModelSpec.of("vgg11", 3, 0.25), dict.fromkeys(ModelSpec.of("vgg11", 3, 0.25).layers, 4)
    scores = {layer: torch.linspace(0, 1, width) for layer, width in spec.width_of.items()}
    budget = Budget.keeping(0.3, spec, 32)
    drawn = [
        proxy.random_widths(spec, scores, fewest, budget, seed, number, multiple=1).narrow(spec).widths
        for seed in (0, 1, 0)
        for number in (0, 1)
    ]
    assert len(set(drawn[:4])) == 4
    assert drawn[:2] == drawn[4:]


def test_tau_is_that_of_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = [0.1, 0.4, 0.3, 0.2], [0.6, 0.9, 0.7, 0.8]
    monkeypatch.setattr(proxy_analysis, "accuracies", lambda record: (before, after))
    statistic, _ = proxy_analysis.tau(None)  # type: ignore[arg-type]
    assert statistic == pytest.approx((5 - 1) / 6)
    assert scipy.stats.kendalltau(before, after).statistic == statistic


@pytest.mark.parametrize("told", [{"min_channels": 8}, {"multiple": 8}, {"repair": 64}, {"min_share": 0.2}])
def test_what_means_nothing_for_a_layer_alone_is_refused(told: dict[str, Any]) -> None:
    sensitivity.Settings(dataset="cars50").check()
    (name,) = told
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} means nothing here"):
        sensitivity.Settings(dataset="cars50", **told).check()
