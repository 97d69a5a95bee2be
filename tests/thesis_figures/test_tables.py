"""Contents of the tables of chapter 4: functions of the records and of the published rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.evaluation.cost import total_cost
from tests.helpers.explicit_records import (
    CUT,
    IMAGES,
    RECIPE,
    RECIPES,
    SIDE,
    SPARSE,
    TESTED,
    THESIS,
    data,
    everything,
    history,
    of_200,
    rows_of,
    run,
    step,
)
from tests.helpers.strategies import TINY
from thesis_figures.analysis.runs import FLOWS
from thesis_figures.tables import ablation, datasets, findings, flows, recipes, scratch, sweep

# ---- over seeds


counts = st.integers(0, IMAGES)


@given(st.lists(st.tuples(counts, counts, counts, counts, st.integers(1, 3)), min_size=1, max_size=5))
def test_means_and_deviations_are_those_of_numpy(drawn: list[tuple[int, int, int, int, int]]) -> None:
    records = [
        run(seed=seed, steps=(step(TINY, kept, (cut, averaged, tuned)),), test={**TESTED, "control": of_200(control)})
        for seed, (cut, averaged, tuned, control, kept) in enumerate(drawn)
    ]
    table = flows.one_shot(records, THESIS)
    (row,) = rows_of(table, source="ours", network="pruned")
    rebuilt, recalibrated, tuned, control, _ = np.array(drawn).T
    params = [record.steps[0].cost.params for record in records]
    for name, values in {
        "accuracy_percent": 100 * tuned / IMAGES,
        "rebuilt_percent": 100 * rebuilt / IMAGES,
        "recalibrated_percent": 100 * recalibrated / IMAGES,
        "change_points": 100 * (tuned - control) / IMAGES,
        "params": np.array(params),
        "share_of_dense": np.array(params) / total_cost(TINY, SIDE).params,
        "cpu_speed_up": np.full(len(drawn), 1.5),
    }.items():
        assert float(row[f"{name}_mean"]) == pytest.approx(values.mean(), abs=1e-9)
        assert row[f"{name}_n"] == str(len(drawn))
        if len(drawn) == 1:
            assert row[f"{name}_sd"] == ""
        else:
            assert float(row[f"{name}_sd"]) == pytest.approx(values.std(ddof=1), abs=1e-9)
    (unpruned,) = rows_of(table, source="ours", network="control")
    assert float(unpruned["accuracy_percent_mean"]) == pytest.approx(100 * control.mean() / IMAGES)
    assert unpruned["n"] == str(len(drawn))


def test_networks_of_other_heads_are_rows_of_their_own() -> None:
    runs = [run(seed=0, prune=0.4, **told) for told in ({}, {"head": "reduced"}, {"head": "reduced", "reduce_to": 8})]
    rows = rows_of(flows.one_shot(runs, THESIS), source="ours", network="dense")
    assert [row["n"] for row in rows] == ["1", "1", "1"]


def test_an_unpruned_network_that_several_records_tell_of_counts_once() -> None:
    records = [run(seed=seed, prune=prune) for seed in range(2) for prune in (0.2, 0.4, 0.6)]
    table = flows.one_shot(records, [])
    assert [(row["network"], row["rate"], row["n"]) for row in rows_of(table)] == [
        *((network, "0", "2") for network in ("dense", "sparse", "control")),
        *(("pruned", rate, "2") for rate in ("0.2", "0.4", "0.6")),
    ]


def test_a_seed_that_two_machines_trained_is_one_seed() -> None:
    again = {**TESTED, "dense": of_200(150)}
    table = flows.one_shot([run(prune=0.2), run(prune=0.4, test=again), run(prune=0.2, seed=1)], [])
    (dense,) = rows_of(table, network="dense")
    assert (dense["n"], float(dense["accuracy_percent_mean"])) == ("2", pytest.approx((77.5 + 80) / 2))


@pytest.mark.parametrize("changes", [{"multiple": 8}, {"prune": None, "max_params": "5k"}])
def test_where_the_share_was_not_kept_the_row_says_what_went(changes: dict[str, Any]) -> None:
    (row,) = rows_of(flows.one_shot([run(**changes)], []), network="pruned")
    assert float(row["rate"]) == pytest.approx(1 - CUT.spec.channels / TINY.channels, abs=1e-6)


def test_runs_that_were_told_different_things_are_not_averaged() -> None:
    table = flows.one_shot([run(floor=4), run(floor=2, seed=1)], [])
    assert [(row["n"], row["differs_in"]) for row in rows_of(table, network="pruned")] == [
        ("1", "floor 2"),
        ("1", "floor 4"),
    ]
    slow = run(seed=1, recipes={**RECIPES, "fine-tune": replace(RECIPE, epochs=9)})
    labels = [row["differs_in"] for row in rows_of(flows.one_shot([run(), slow], []), network="pruned")]
    assert labels == ["fine-tune epochs 2", "fine-tune epochs 9"]


def test_two_runs_of_one_seed_are_refused() -> None:
    with pytest.raises(ValueError, match="oneshot on drawn-cars3 have the same settings and seed"):
        flows.one_shot([run(), run()], THESIS)


# ---- the flows


def test_plain_and_heavier_runs_stand_in_their_own_tables() -> None:
    records = everything()
    (plain,) = rows_of(flows.one_shot(records, THESIS), source="ours", network="pruned")
    (heavy,) = rows_of(flows.heavier(records, THESIS), source="ours", network="pruned")
    assert (plain["n"], heavy["n"], heavy["last_sparsity"]) == ("3", "3", "0.05")
    assert float(heavy["params_mean"]) < float(plain["params_mean"])
    assert heavy["params_plain_penalty_mean"] == plain["params_mean"]


def test_a_published_heavier_row_stands_beside_the_plain_one() -> None:
    table = flows.heavier([], THESIS)
    (row,) = rows_of(table, data_set="aircraft", rate="0.6")
    assert (row["params_mean"], row["params_plain_penalty_mean"]) == ("3612260", "27872092")
    (row,) = rows_of(table, data_set="cars", rate="0.45")
    assert row["params_plain_penalty_mean"] == ""


def test_a_heavier_run_without_a_plain_one_has_none_beside_it() -> None:
    records = [record for record in everything() if not FLOWS["one-shot"](record)]
    (row,) = rows_of(flows.heavier(records, THESIS), source="ours", network="pruned")
    assert row["params_plain_penalty_mean"] == ""


def test_every_step_of_an_iterative_run_is_a_row_and_only_the_last_meets_the_control() -> None:
    rows = rows_of(flows.iterative(everything(), THESIS), source="ours", network="pruned")
    assert [(row["rate"], row["accuracy_percent_mean"]) for row in rows] == [("0.4", "75"), ("0.8", "70")]
    assert [row["change_points_mean"] for row in rows] == ["", "-9.5"]
    assert [row["cpu_speed_up_mean"] for row in rows] == ["", "1.5"]


def test_soft_pruning_ends_with_recalibration() -> None:
    (row,) = rows_of(flows.soft(everything(), THESIS), source="ours", network="pruned")
    assert (row["accuracy_percent_mean"], row["rebuilt_percent_mean"]) == ("60", "45")


def test_ours_stand_beside_the_family_they_are_of() -> None:
    records = [run(data_set=name) for name in ("drawn-cars50", "cars50", "drawn-birds")]
    rows = rows_of(flows.one_shot(records, THESIS), rate="0.4")
    assert [(row["data_set"], row["source"]) for row in rows] == [
        ("aircraft", "thesis"),
        ("drawn-birds", "ours"),
        ("birds", "thesis"),
        ("cars50 from scratch", "ours"),
        ("drawn-cars50", "ours"),
        ("cars", "thesis"),
    ]


# ---- the others


def test_an_ablation_row_is_of_the_last_network() -> None:
    (row,) = rows_of(ablation.table(everything(), THESIS), source="ours", network="vgg")
    assert float(row["accuracy_percent_mean"]) == 100 * 159 / IMAGES


def test_the_sweep_begins_with_the_sparse_network() -> None:
    rows = rows_of(sweep.table(everything(), THESIS))
    cells = [(row["rate"], row["dropped_percent_mean"], row["absorbed_percent_mean"]) for row in rows]
    assert cells == [("0", "79", ""), ("0.2", "30", "35"), ("0.4", "30", "35")]


def test_a_sweep_with_other_rates_than_cuts_is_refused() -> None:
    record = next(record for record in everything() if record.experiment == "sweep")
    record = replace(record, settings={**record.settings, "rates": "0.2"})
    with pytest.raises(ValueError, match="drawn-cars3, seed 0, names 1 rates and has 2"):
        sweep.table([record], THESIS)


def test_what_is_trained_anew_is_set_against_the_pruned_network() -> None:
    rows = {row["network"]: row for row in rows_of(scratch.table(everything(), THESIS))}
    assert rows["scratch-epochs"]["change_points_mean"] == "-7.5"  # 140 and 155 of 200
    assert rows["scratch-compute"]["params_mean"] == rows["pruned"]["params_mean"] != rows["control"]["params_mean"]
    assert [rows[name]["epochs_mean"] for name in ("sparse", "pruned", "scratch-epochs")] == ["5", "7", "7"]


def test_seeds_are_averaged_though_as_much_computing_is_not_as_many_epochs() -> None:
    (first,) = (record for record in everything() if record.experiment == "scratch")
    longer = {**first.recipes, "scratch-compute": replace(RECIPE, epochs=11)}
    rows = {row["network"]: row for row in rows_of(scratch.table([first, replace(first, seed=1, recipes=longer)], []))}
    assert {name: (row["n"], row["differs_in"]) for name, row in rows.items()} == dict.fromkeys(rows, ("2", ""))
    assert (rows["scratch-compute"]["epochs_mean"], rows["scratch-epochs"]["epochs_mean"]) == ("9", "7")


def test_each_recipe_stands_once_with_the_experiments_that_used_it() -> None:
    rows = rows_of(recipes.table(everything(), THESIS), data_set="drawn-cars3", phase="sparse")
    assert [(row["last_sparsity"], row["experiments"]) for row in rows] == [
        ("0.001", "criteria, iterative, oneshot, scratch, soft, sweep"),
        ("0.05", "oneshot"),
    ]


def test_sets_are_told_as_they_were_prepared_and_drawn_ones_by_their_own_name() -> None:
    other = replace(run(), data=replace(data("drawn-cars3"), digest="another"))
    rows = rows_of(datasets.table([run(), run(seed=1), run(data_set="cars50"), other], THESIS), source="ours")
    assert [(row["data_set"], row["kind"]) for row in rows] == [
        ("cars50", "part of the official"),
        *[("drawn-cars3", "drawn")] * 2,
    ]
    cells = {"classes": 3, "train": 300, "val": 150, "test": 200, "side": SIDE, "fewest_per_class": 10}
    cells |= {"most_per_class": 90, "narrowest_source": 20, "widest_source": 640, "lowest_source": 30}
    assert {name: int(rows[0][name]) for name in cells} == cells
    assert [row["digest"] for row in rows] == ["digest of cars50", "another", "digest of drawn-cars3"]


def test_the_thesis_states_its_own_sets() -> None:
    rows = rows_of(datasets.table(everything(), THESIS), source="thesis")
    assert [(row["data_set"], row["classes"], row["train"], row["val"], row["test"]) for row in rows] == [
        ("aircraft", "100", "6667", "", "3333"),
        ("birds", "200", "5994", "", "5794"),
        ("cars", "196", "8144", "", "8041"),
    ]


def test_a_recipe_is_told_number_by_number() -> None:
    plateau = replace(RECIPE, schedule="plateau", patience=7, decay=0.2, lowest_rate=1e-5)
    records = [run(recipes={"dense": plateau, "sparse": SPARSE}, steps=(), test={})]
    dense, sparse = rows_of(recipes.table(records, THESIS), source="ours")
    assert dense["schedule"] == "×0.2 after 7 flat epochs, to 1e-05"
    numbers = {"epochs": 3, "batch": 8, "learning_rate": 0.01, "momentum": 0.9, "sparsity": 0.001, "rotation": 10}
    assert {name: float(sparse[name]) for name in numbers} == numbers
    assert (sparse["schedule"], sparse["patience"], sparse["update"], dense["update"]) == (
        "cosine to 0",
        "",
        "subgradient",
        "",
    )


def test_a_table_says_on_what_it_was_timed() -> None:
    note = "CPU speed-up: median time of the dense network over the pruned one's (batch 1, threads 2, 9 alternating"
    assert any(f"{note} passes, a slow one)" in line for line in flows.one_shot([run()], []).notes)
    assert not any("CPU" in line for line in flows.one_shot([], THESIS).notes)


def test_last_penalties_of_one_rate_stand_in_one_order() -> None:
    records = [
        run(last_sparsity=last, recipes={**RECIPES, "sparse": replace(SPARSE, last_sparsity=last)})
        for last in (0.05, 0.02, 0.5)
    ]
    for given_in in (records, records[::-1]):
        rows = rows_of(flows.heavier(given_in, []), network="pruned")
        assert [(row["last_sparsity"], row["differs_in"]) for row in rows] == [("0.02", ""), ("0.05", ""), ("0.5", "")]


def found(*vals: int) -> list[dict[str, str]]:
    """Our findings for cuts to 1, 2 and 3 channels a layer, with so many of 200 on val, where dense has 160."""
    records = [
        run(prune=0.1 * (9 - kept), steps=(step(TINY, kept, (1, 2, 10 * kept), val),))
        for kept, val in enumerate(vals, 1)
    ]
    return rows_of(findings.table(records, THESIS), source="ours")


def test_the_finding_is_chosen_on_val_and_reported_on_test() -> None:
    (row,) = found(150, 158, 170)
    assert (row["rate"], row["val_percent_mean"], row["accuracy_percent_mean"]) == ("0.7", "79", "10")
    assert row["params_mean"] == str(step(TINY, 2, (1, 1, 1)).cost.params)
    assert float(row["removed_mean"]) == pytest.approx(1 - float(row["share_of_dense_mean"]))


def test_where_no_cut_is_equal_there_is_no_finding() -> None:
    (row,) = found(150, 157, 157)
    assert (row["flow"], row["params_mean"], row["accuracy_percent_mean"]) == ("none", "", "")


def test_a_finding_of_soft_pruning_is_judged_by_the_epochs_before_its_cut() -> None:
    def best(val: int) -> str:
        record = run("soft", steps=(step(TINY, 2, (1, 2, None)),), training={"soft": history(val)})
        (row,) = rows_of(findings.table([record], THESIS), source="ours")
        return row["flow"]

    assert (best(158), best(157)) == ("soft", "none")


def test_the_published_findings_are_within_a_point_and_beside_what_the_thesis_says() -> None:
    rows = rows_of(findings.table([], THESIS), source="thesis")
    assert [(row["data_set"], row["params_mean"], row["claimed"]) for row in rows] == [
        ("aircraft", "3612260", "0.9"),
        ("birds", "10753816", "0.8"),
        ("cars", "5809175", "0.9"),
    ]
