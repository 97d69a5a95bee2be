"""Tables are functions of the records and of the published rows, and never mix the two."""

import ast
import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.evaluation.cost import cost_lines, total_cost
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.records import (
    Augmentation,
    DatasetInfo,
    EpochStats,
    Evaluation,
    History,
    Latency,
    PruneStep,
    Recipe,
    RunRecord,
)
from bcnn_prune.spec import ModelSpec
from tests.strategies import TINY
from thesis_figures import tables
from thesis_figures.measured import Measured
from thesis_figures.runs import FLOWS, Spread
from thesis_figures.tables import (
    ablation,
    cost,
    cuts,
    datasets,
    findings,
    flows,
    formats,
    recipes,
    reference,
    scratch,
    sweep,
)
from thesis_figures.tables.table import Column, Row, Table

PUBLISHED = Path(__file__).parents[2] / "results" / "reference" / "thesis_results.csv"
THESIS = reference.read(PUBLISHED)
SIDE, IMAGES = 32, 200
RECIPE = Recipe(epochs=2, learning_rate=0.01, batch=8, schedule="cosine", augment=Augmentation(rotation=10))
SPARSE = replace(RECIPE, epochs=3, sparsity=1e-3, last_sparsity=1e-3)


def of_200(correct: int) -> Evaluation:
    return Evaluation(IMAGES, correct)


def history(val: int, test: int = 0) -> History:
    """One epoch; `test` only makes histories of networks that differ differ."""
    return History((EpochStats(1, 0.01, float(test), of_200(1), of_200(val), 0.0, 1.0),), 1)


def data(name: str) -> DatasetInfo:
    images = {"train": 300, "val": 150, "test": IMAGES}
    return DatasetInfo(name, SIDE, ("a", "b", "c"), images, (10, 90), (20, 640), (30, 480), f"digest of {name}")


def step(spec: ModelSpec, kept: int, tested: tuple[int, int, int | None], val: int = 150) -> PruneStep:
    """A cut to at most `kept` channels a layer; test counts when rebuilt, recalibrated and fine-tuned."""
    plan = ChannelPlan({layer: tuple(range(min(kept, width))) for layer, width in spec.width_of.items()})
    narrow, tuned = plan.narrow(spec), tested[2]
    return PruneStep(
        plan=plan,
        spec=narrow,
        cost=total_cost(narrow, SIDE),
        threshold=0.1,
        certificate=0.0,
        rebuilt=of_200(tested[0]),
        recalibrated=of_200(tested[1]),
        fine_tuned=None if tuned is None else of_200(tuned),
        fine_tuning=None if tuned is None else history(val, tuned),
    )


CUT = step(TINY, 2, (90, 120, 155))
TESTED = {"dense": of_200(160), "sparse": of_200(158), "control": of_200(159)}
RECIPES = {"dense": RECIPE, "sparse": SPARSE, "control": RECIPE, "fine-tune": RECIPE}


def run(
    experiment: str = "oneshot",
    seed: int = 0,
    data_set: str = "drawn-cars3",
    *,
    steps: tuple[PruneStep, ...] = (CUT,),
    sweep: tuple[PruneStep, ...] = (),
    test: dict[str, Evaluation] = TESTED,
    training: dict[str, History] | None = None,
    recipes: dict[str, Recipe] = RECIPES,
    **settings: str | int | float,
) -> RunRecord:
    """A record with the flow's usual settings and these; a run of 40 % unless told."""
    usual: dict[str, str | int | float | None] = {
        "depth": 11,
        "width": 1.0,
        "weights": "none",
        "trunk": "auto",
        "last_sparsity": None,
        "prune": 0.4,
    }
    return RunRecord(
        experiment=experiment,
        settings={**usual, **settings, "seed": seed},
        seed=seed,
        data=data(data_set),
        spec=TINY,
        cost=total_cost(TINY, SIDE),
        recipes=recipes,
        training={**{name: history(160, found.correct) for name, found in test.items()}, **(training or {})},
        test=test,
        steps=steps,
        sweep=sweep,
        latency={name: Latency(ms, ms, ms, 9, 1, 2) for name, ms in (("dense", 3.0), ("pruned", 2.0))},
        provenance={"cpu": "a slow one"},
    )


def rows_of(table: Table, **cells: object) -> list[dict[str, str]]:
    """The rows of its CSV, as read back, whose cells begin as asked."""
    rows = csv.DictReader(formats.as_csv(table).splitlines())
    return [row for row in rows if all(row[name] == str(value) for name, value in cells.items())]


def everything() -> list[RunRecord]:
    """A record or more of each experiment, three seeds of the one-shot flows."""
    heavy = {**RECIPES, "sparse": replace(SPARSE, last_sparsity=0.05)}
    narrower = step(TINY, 1, (60, 90, 150))
    two = (step(TINY, 3, (100, 130, 150)), step(replace(TINY, widths=(3,) * 8), 2, (80, 110, 140)))
    soft = step(TINY, 2, (90, 120, None))
    swept = tuple(replace(step(TINY, kept, (60, 120, None)), absorbed=of_200(70)) for kept in (3, 2))
    shapes = {"scratch-epochs": of_200(140), "scratch-compute": of_200(145)}
    anew = {**RECIPES, **dict.fromkeys(shapes, replace(RECIPE, epochs=7))}
    return [
        *(run(seed=seed) for seed in range(3)),
        *(run(seed=seed, last_sparsity=0.05, steps=(narrower,), recipes=heavy) for seed in range(3)),
        run("iterative", prune=0.8, steps=two),
        run("soft", steps=(soft,), training={"soft": history(150)}, recipes={**RECIPES, "soft": RECIPE}),
        *(run("criteria", criterion=name) for name in ("bn-scale", "random")),
        run("sweep", rates="0.2+0.4", steps=(), sweep=swept),
        run("scratch", test={**TESTED, **shapes}, recipes=anew),
        *(run("ablation", data_set="aircraft20", variant=name, steps=()) for name in ("vgg", "bcnn-bn-l1")),
    ]


# ---- 3.4


def evaluated(formula: str) -> int:
    """The number that a written-out sum of products gives."""

    def value(node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.BinOp(left=left, op=ast.Add() | ast.Mult() as sign, right=right):
                return value(left) + value(right) if isinstance(sign, ast.Add) else value(left) * value(right)
        raise ValueError(f"{formula} is no sum of products")

    return value(ast.parse(formula.replace("·", "*"), mode="eval").body) if formula else 0


@pytest.mark.parametrize("make", [cost.unpruned, cost.pruned])
def test_the_lines_of_the_written_out_cost_add_up(make: tables.Maker) -> None:
    *lines, total = rows_of(make([], THESIS))
    for line in lines:
        assert evaluated(line["params_formula"]) == int(line["params"])
        assert evaluated(line["macs_formula"]) == int(line["macs"])
    for column in ("params", "macs", "flops", "elementwise", "file_bytes"):
        assert sum(int(line[column]) for line in lines) == int(total[column])
    assert int(total["flops"]) == 2 * int(total["macs"])


def test_the_written_out_cost_is_of_the_published_networks() -> None:
    assert rows_of(cost.unpruned([], THESIS))[-1]["params"] == "66103556"
    assert rows_of(cost.pruned([], THESIS))[-1]["params"] == "1204831"
    layer = rows_of(cost.unpruned([], THESIS), layer="conv2_1")[0]
    assert layer["params_formula"] == "3·3·64·128"
    assert layer["macs_formula"] == "3·3·64·128·112·112"
    assert layer["outputs"] == str(128 * 112 * 112)
    (bias,) = rows_of(cost.unpruned([], THESIS), layer="conv2_1 bias")
    assert bias["params_formula"] == "128"


def test_what_the_network_takes_on_disk_and_in_memory_is_noted_under_its_cost() -> None:
    note = cost.unpruned([], THESIS).notes[-1]
    assert "264.4 MB on disk" in note  # 4 · (66,103,556 + 2 · 4,224) + 13 · 8 bytes
    assert "25.7 MB for an image" in note  # two maps of 64 × 224 × 224 in fp32
    assert "40,455,172 parameters" in note  # 512 · 513 / 2 · 196 weights in place of 512² · 196, and no BN


def test_every_line_of_the_cost_is_written_out_for_any_side() -> None:
    lines = cost.written_out(TINY, 75)
    assert [line["layer"] for line in lines] == list(cost_lines(TINY, 75))
    assert all(evaluated(str(line.get("macs_formula") or "")) == line["macs"] for line in lines)


# ---- the published rows


def broken(tmp_path: Path, old: str, new: str) -> Path:
    text = PUBLISHED.read_text()
    assert text.count(old) == 1
    path = tmp_path / "published.csv"
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("1204831,0.42,9 23", "1204831,0.42,9 24", r"line 25: the widths of oneshot on cars in table 4\.4, 0\.8 cut"),
        ("71.66,1204831", "71.66,1204830", r"give 1,204,831 parameters, the row says 1204830"),
        ("71.66,1204831", "71.66,", r"the row says none"),
        ("oneshot,1e-4,0.8,71.66", "oneshot,1e-4,most,71.66", "line 25: could not convert"),
        (",gmacs_224,", ",gmacs,", "no column gmacs_224"),
    ],
)
def test_a_published_row_that_does_not_add_up_is_refused_by_name(old: str, new: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"published\.csv.*{says}"):
        tables.write(Measured(), broken(tmp_path, old, new), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("records", [[], everything()], ids=["no records", "records"])
def test_every_published_row_is_in_its_table_once(records: list[RunRecord]) -> None:
    made = {table.name: table for table in tables.made(records, THESIS)}
    for number in ("4.3", "4.4", "4.5", "4.6", "4.7"):
        found = [
            (row["data_set"], float(row["accuracy_percent_mean"]), row["params_mean"], row["gmacs_mean"])
            for row in rows_of(made[f"table-{number}"], source="thesis")
        ]
        published = [row for row in csv.DictReader(PUBLISHED.read_text().splitlines()) if row["table"] == number]
        expected = [
            (
                row["dataset"],
                float(row["accuracy_percent"]),
                row["params"],
                f"{float(row['gmacs_224']):g}" if row["gmacs_224"] else "",
            )
            for row in published
        ]
        assert sorted(found) == sorted(expected)
    assert sum(len(rows_of(made[f"table-4.{i}"], source="thesis")) for i in range(3, 8)) == len(THESIS) == 52


def test_no_row_of_ours_comes_from_published_numbers() -> None:
    def ours(records: list[RunRecord], published: list[reference.ThesisRow]) -> list[dict[str, str]]:
        rows = (row for table in tables.made(records, published) for row in rows_of(table))
        return [row for row in rows if row.get("source") == "ours"]

    changed = [
        replace(row, accuracy=row.accuracy / 2, params=row.params and row.params + 1, gmacs=row.gmacs and row.gmacs * 2)
        for row in THESIS
    ]
    assert ours(everything(), changed) == ours(everything(), THESIS)
    assert len(ours(everything(), THESIS)) > 40
    assert ours([], THESIS) == []


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


def test_an_unpruned_network_that_several_records_tell_of_counts_once() -> None:
    records = [run(seed=seed, prune=prune) for seed in range(2) for prune in (0.2, 0.4, 0.6)]
    table = flows.one_shot(records, [])
    assert [(row["network"], row["rate"], row["n"]) for row in rows_of(table)] == [
        *((network, "0", "2") for network in ("dense", "sparse", "control")),
        *(("pruned", rate, "2") for rate in ("0.2", "0.4", "0.6")),
    ]


def test_runs_that_were_told_different_things_are_not_averaged() -> None:
    table = flows.one_shot([run(floor=4), run(floor=2, seed=1)], [])
    assert [(row["n"], row["differs_in"]) for row in rows_of(table, network="pruned")] == [
        ("1", "floor 2"),
        ("1", "floor 4"),
    ]
    slow = run(seed=1, recipes={**RECIPES, "fine-tune": replace(RECIPE, epochs=9)})
    told = [row["differs_in"] for row in rows_of(flows.one_shot([run(), slow], []), network="pruned")]
    assert told == ["fine-tune epochs 2", "fine-tune epochs 9"]


def test_two_runs_of_one_seed_are_refused() -> None:
    with pytest.raises(ValueError, match="oneshot on drawn-cars3 tell of the same settings and seed"):
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
        ("cars50", "ours"),
        ("drawn-cars50", "ours"),
        ("cars", "thesis"),
    ]


# ---- the others


def test_an_ablation_row_is_of_the_last_network() -> None:
    (row,) = rows_of(ablation.table(everything(), THESIS), source="ours", network="vgg")
    assert float(row["accuracy_percent_mean"]) == 100 * 159 / IMAGES


def test_the_sweep_begins_with_the_sparse_network() -> None:
    rows = rows_of(sweep.table(everything(), THESIS))
    told = [(row["rate"], row["dropped_percent_mean"], row["absorbed_percent_mean"]) for row in rows]
    assert told == [("0", "79", ""), ("0.2", "30", "35"), ("0.4", "30", "35")]


def test_a_sweep_with_other_rates_than_cuts_is_refused() -> None:
    record = next(record for record in everything() if record.experiment == "sweep")
    record = replace(record, settings={**record.settings, "rates": "0.2"})
    with pytest.raises(ValueError, match="drawn-cars3, seed 0, names 1 rates and has 2"):
        sweep.table([record], THESIS)


def test_what_is_trained_anew_is_set_against_the_pruned_network() -> None:
    rows = {row["network"]: row for row in rows_of(scratch.table(everything(), THESIS))}
    assert rows["scratch-epochs"]["change_points_mean"] == "-7.5"  # 140 and 155 of 200
    assert rows["scratch-compute"]["params_mean"] == rows["pruned"]["params_mean"] != rows["control"]["params_mean"]
    assert [rows[name]["epochs"] for name in ("sparse", "pruned", "scratch-epochs")] == ["5", "7", "7"]


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
    told = {"classes": 3, "train": 300, "val": 150, "test": 200, "side": SIDE, "fewest_per_class": 10}
    told |= {"most_per_class": 90, "narrowest_source": 20, "widest_source": 640, "lowest_source": 30}
    assert {name: int(rows[0][name]) for name in told} == told
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
    told = {"epochs": 3, "batch": 8, "learning_rate": 0.01, "momentum": 0.9, "sparsity": 0.001, "rotation": 10}
    assert {name: float(sparse[name]) for name in told} == told
    assert (sparse["schedule"], sparse["patience"], sparse["update"], dense["update"]) == (
        "cosine to 0",
        "",
        "subgradient",
        "",
    )


def test_a_table_says_on_what_it_was_timed() -> None:
    note = "CPU speed-up: median time of the dense network over the pruned one's (batch 1, threads 2, 9 alternating"
    assert any(f"{note} passes, a slow one)" in told for told in flows.one_shot([run()], []).notes)
    assert not any("CPU" in told for told in flows.one_shot([], THESIS).notes)


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


# ---- files

MADE = [*tables.made(everything(), THESIS), *tables.made([], THESIS)]


def test_two_writes_give_the_same_bytes_in_any_order_of_the_records(tmp_path: Path) -> None:
    written = []
    for name, records in (("first", everything()), ("second", everything()[::-1])):
        paths = tables.write(Measured(records), PUBLISHED, tmp_path / name)
        assert sorted(paths) == sorted((tmp_path / name).iterdir())
        written.append({path.name: path.read_bytes() for path in paths})
    assert written[0] == written[1]
    assert {"table-3.4.csv", "table-4.4.md", "table-4.7.tex", "table-findings.csv"} < set(written[0])


@pytest.mark.parametrize("table", MADE, ids=lambda table: table.name)
def test_a_csv_reads_back_as_plain_numbers(table: Table) -> None:
    header, *rows = csv.reader(formats.as_csv(table).splitlines())
    assert len(set(header)) == len(header)
    assert len(rows) == len(table.rows)
    for cells, row in zip(rows, table.rows, strict=True):
        read = dict(zip(header, cells, strict=True))
        for column in table.columns:
            cell = row.get(column.name)
            if isinstance(cell, Spread):
                assert float(read[f"{column.name}_mean"]) == pytest.approx(cell.mean, rel=1e-11)
                assert int(read[f"{column.name}_n"]) == cell.n
            elif isinstance(cell, int | float):
                assert float(read[column.name]) == pytest.approx(cell, rel=1e-11)
            elif not column.spread:
                assert read[column.name] == (cell or "")


@pytest.mark.parametrize("table", MADE, ids=lambda table: table.name)
def test_a_latex_table_is_balanced(table: Table) -> None:
    text = formats.as_latex(table)
    assert text.isascii()
    unescaped = re.sub(r"\\[&%$#_{}]|%$", "", text, flags=re.MULTILINE)
    assert unescaped.count("{") == unescaped.count("}")
    assert not re.search(r"[#%_]", unescaped)
    assert all(line.count("$") % 2 == 0 for line in unescaped.splitlines())
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert (begun, ended) == (["table", "tabular"], ["tabular", "table"])
    (form,) = re.findall(r"\\begin{tabular}{([lr]+)}", text)
    body = unescaped[unescaped.index(r"\toprule") : unescaped.index(r"\bottomrule")].splitlines()
    lines = [line for line in body if line not in (r"\toprule", r"\midrule")]
    assert len(lines) == len(table.rows) + 1
    for line in lines:
        assert line.count("&") == len(form) - 1
        assert line.endswith(r" \\")


@pytest.mark.parametrize("table", MADE, ids=lambda table: table.name)
def test_the_lines_of_a_markdown_table_are_of_one_width(table: Table) -> None:
    lines = [line for line in formats.as_markdown(table).splitlines() if line.startswith("|")]
    assert len(lines) == len(table.rows) + 2
    assert {(len(line), line.count(" | ")) for line in lines} == {(len(lines[0]), len(table.visible) - 1)}


def test_what_markdown_and_latex_would_read_as_a_command_is_escaped() -> None:
    row: Row = {"name": r"a|b_c & 5% {x} \y", "value": Spread(1.25, 0.5, 2)}
    columns = (Column("name", "a name"), Column("value", "λ\nof it", ".1f", spread=True), Column("none", "nothing"))
    table = Table("table-x", "50 % & more", columns, (row,))
    assert r"| a\|b_c & 5% {x} \y | 1.2 ± 0.5 |" in formats.as_markdown(table)
    latex = formats.as_latex(table)
    assert r"a$|$b\_c \& 5\% \{x\} \textbackslash{}y & 1.2 $\pm$ 0.5 \\" in latex
    assert r"a name & \shortstack[r]{$\lambda$ \\ of it} \\" in latex
    assert r"\caption{50 \% \& more}" in latex
    assert "nothing" not in latex
    assert formats.as_csv(table).splitlines() == [
        "name,value_mean,value_sd,value_n,none",
        r"a|b_c & 5% {x} \y,1.25,0.5,2,",
    ]


def test_a_cell_without_a_column_is_refused() -> None:
    with pytest.raises(ValueError, match="table-x has no column b"):
        Table("table-x", "", (Column("a", "a"),), ({"b": 1},))
    with pytest.raises(ValueError, match="no cell of the column a"):
        Table("table-x", "", (Column("a", "a", "d", spread=True),), ({"a": 1},))


def test_a_change_that_rounds_to_nothing_has_no_sign_of_loss() -> None:
    assert cuts.CHANGE.text(Spread(-0.001, None, 1)) == "+0.00"
    assert cuts.CHANGE.text(Spread(-0.5, 0.25, 2)) == "-0.50 ± 0.25"
