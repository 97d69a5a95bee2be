"""Ways to make a network small, as records of made-up accuracies: rows paired by seed, a line for each method."""

from dataclasses import replace
from pathlib import Path

import pytest

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.files import write_text
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.records import ConfusionMatrix, Cost, Evaluation, Latency, PackedNetwork, RunRecord, deploy, to_json
from bcnn_prune.records.file_latency import FileTime, FileTimes, TimmFileTime, shapes
from bcnn_prune.records.timm_network import TimmNetworkRecord
from tests.helpers import example_times
from tests.helpers.explicit_records import IMAGES, RECIPE, SIDE, TESTED, history, of_200, rows_of, run, step
from tests.helpers.figure_layout import problems
from tests.helpers.strategies import TINY
from thesis_figures import load
from thesis_figures.analysis.compression import METHODS, lines, methods
from thesis_figures.catalogue import figures
from thesis_figures.figures import pruning_lines
from thesis_figures.figures.compression import cpu_time
from thesis_figures.load import Measured
from thesis_figures.tables import compression, measured_tables


def compressed(method: str, seed: int, budget: float, correct: int, **told: int) -> RunRecord:
    """The network of a method, right on so many images: low-rank in one layer, and packed."""
    spec = TINY.with_forms({"conv2_1": ("low-rank", max(1, round(4 * budget)))}) if method == "low_rank" else TINY
    packed = tuple(
        PackedNetwork(bits, 100 * bits, 500, of_200(1), of_200(correct - 8 + bits), 2_000_000) for bits in (8, 4)
    )
    made = replace(
        step(TINY, 9, (50, 60, correct)),
        spec=spec,
        plan=ChannelPlan.keep_all(spec),
        cost=total_cost(spec, SIDE),
        method=method,
        packed=packed,
    )
    tested = {**TESTED, "dense-as-long": of_200(150 + seed)}
    return run("compress", seed, steps=(made,), test=tested, prune=None, method=method, keep_macs=budget, **told)


LEVELS = ("dense", "dense, as long", "cost of the dense network")
RECORDS = [
    compressed(method, seed, budget, round(160 * budget**0.1) + seed)
    for method in METHODS
    for seed in (0, 1)
    for budget in (0.5, 0.3)
]


def test_a_row_holds_what_its_records_do_and_differences_are_paired() -> None:
    table = compression.table(RECORDS, {}, None)
    assert table is not None
    assert len(table.rows) == 1 + 2 * len(METHODS)
    (row,) = rows_of(table, method="low rank", budget="30 % of the multiply-adds")
    ours = [round(160 * 0.3**0.1) + seed for seed in (0, 1)]
    assert float(row["accuracy_percent_mean"]) == pytest.approx(100 * sum(ours) / 2 / IMAGES)
    assert float(row["to_dense_as_long_points_mean"]) == pytest.approx(100 * (ours[0] - 150) / IMAGES)
    assert float(row["before_percent_mean"]) == 30
    low_rank = TINY.with_forms({"conv2_1": ("low-rank", 1)})
    assert float(row["params_mean"]) == total_cost(low_rank, SIDE).params
    assert float(row["nonzero_mmacs_mean"]) == 2
    assert [float(row[f"kbytes_{bits}bit_mean"]) for bits in (8, 4)] == [0.8, 0.4]
    assert float(row["accuracy_4bit_percent_mean"]) == pytest.approx(float(row["accuracy_percent_mean"]) - 2)
    assert compression.table([run()], {}, None) is None
    assert table in measured_tables(Measured(records=RECORDS))


def test_the_files_of_a_network_stand_in_its_row() -> None:
    """Of two seeds' files the one that takes least time on average. Cells stay empty where a seed was not deployed."""
    both = {"torch": 150, "onnx-int8": 140}
    first, second = (
        replace(example_times.report("drawn-cars", both, timed), spec=TINY)
        for timed in (example_times.times(left_out=("openvino-bf16",)), None)
    )
    runs = [
        record for record in RECORDS if record.settings["method"] == "width" and record.settings["keep_macs"] == 0.3
    ]
    table = compression.table(RECORDS, dict(zip((run.key for run in runs), (first, second), strict=True)), None)
    assert table is not None
    (row,) = rows_of(table, method="narrower, from the start", budget="30 % of the multiply-adds")
    assert [float(row[f"{cell}_mean"]) for cell in ("kbytes_int8", "accuracy_int8_percent")] == [1, 70]
    assert (row["fastest"], float(row["fastest_ms_mean"])) == ("OpenVINO int8", 200 / 12.5)
    assert any("7 bits per weight and 8 per activation" in note for note in table.notes)
    (other,) = rows_of(table, method="low rank", budget="30 % of the multiply-adds")
    assert (other["fastest"], other["kbytes_int8_mean"]) == ("", "")
    table = compression.table(RECORDS, {runs[0].key: first}, None)
    assert table is not None
    (row,) = rows_of(table, method="narrower, from the start", budget="30 % of the multiply-adds")
    assert (row["fastest"], row["accuracy_int8_percent_mean"]) == ("", "")


def test_dense_networks_of_other_lengths_are_rows_of_their_own() -> None:
    longer = compressed("width", 7, 0.3, 150, fine_tune_epochs=70)
    trained = longer.training["dense-as-long"]
    training = {**longer.training, "dense-as-long": replace(trained, epochs=trained.epochs * 90)}
    longer = replace(longer, training=training, test={**longer.test, "dense-as-long": of_200(190)})
    table = compression.table([*RECORDS, longer], {}, None)
    assert table is not None
    dense = {row["method"]: row for row in rows_of(table) if row["method"].startswith("dense")}
    shown = {name: (row["n"], float(row["accuracy_percent_mean"])) for name, row in dense.items()}
    assert shown == {
        f"dense, trained as long, {len(RECORDS[0].training['dense-as-long'].epochs)} epochs": ("2", 75.25),
        "dense, trained as long, 90 epochs": ("1", 95),
    }


def test_a_curve_has_the_networks_that_differ_in_their_budget_alone() -> None:
    finer = compressed("prune", 0, 0.3, 30, dense_epochs=9)
    found = lines(methods([*RECORDS, finer]))
    told = {name: [method.budget.split()[0] for method in of_name] for name, of_name in found.items()}
    assert [told["channels pruned, dense_epochs None"], told["channels pruned, dense_epochs 9"]] == [
        ["50", "30"],
        ["30"],
    ]
    assert told["low rank"] == ["50", "30"]
    assert lines(methods(RECORDS)).keys() == set(METHODS.values())


def test_the_time_of_a_file_stands_beside_the_network_of_its_shape() -> None:
    """In the table over the unpruned one's, in the figure on the x axis."""
    took = {shape: 1.0 + i for i, shape in enumerate(sorted(set().union(*map(shapes, RECORDS)), key=repr))}
    files = FileTimes(
        "onnx-int8",
        tuple(FileTime(*shape, Latency(ms, ms, ms, 30, batch=1, threads=1)) for shape, ms in took.items()),
        {"cpu": "A slow one"},
    )
    table = compression.table(RECORDS, {}, files)
    assert table is not None
    ms = took[SIDE, TINY.with_forms({"conv2_1": ("low-rank", 1)})]
    (row,) = rows_of(table, method="low rank", budget="30 % of the multiply-adds")
    assert float(row["ms_mean"]) == ms
    assert float(row["ms_share_mean"]) == pytest.approx(ms / took[SIDE, TINY])
    (dense,) = rows_of(table, method="dense, trained as long")
    assert (float(dense["ms_mean"]), float(dense["ms_share_mean"])) == (took[SIDE, TINY], 1)
    assert "in ONNX Runtime int8, threads: 1, on A slow one" in table.notes[-1]
    figure = figures(Measured(RECORDS, files=files))["figure-compression-drawn"]()
    assert [ax.get_xlabel() for ax in figure.axes][-1] == "ms in ONNX Runtime int8"
    (line, _, _) = {str(bar.get_label()): bar for bar in figure.axes[-1].containers}["low rank"].lines
    assert ms in line.get_xdata()
    assert problems(figure) == []

    timed_first = compressed("low_rank", 0, 0.5, 80), compressed("low_rank", 1, 0.3, 160)
    apart = [replace(record, settings={**record.settings, "keep_macs": 0.3}) for record in timed_first]
    (method,) = methods(apart)
    known = replace(files, files=tuple(file for file in files.files if (file.side, file.spec) == method.shapes[0]))
    quantity = cpu_time(known)
    assert (len(quantity.of(method)), quantity.tested(method)) == (1, [apart[0].steps[-1].final])


def test_networks_of_timm_stand_below_their_set_over_seeds() -> None:
    told = run().data
    matrix = ConfusionMatrix((0, 1), (0, 0), (150, 50), 200)
    made = [
        TimmNetworkRecord(
            "mobilenetv2_100", "none", seed, told, RECIPE, history(1), Cost(10, 2_000_000), 40, matrix, {}
        )
        for seed in (0, 1)
    ]
    other = replace(made[0], data=replace(told, digest="others"))
    longer = replace(made[0], recipe=replace(RECIPE, epochs=99))
    file = TimmFileTime(SIDE, "mobilenetv2_100", 3, Latency(0.5, 0.5, 0.5, 30, batch=1, threads=1))
    dense = FileTime(SIDE, TINY, Latency(2.0, 2.0, 2.0, 30, batch=1, threads=1))
    files = FileTimes("onnx-int8", (dense,), {"cpu": "A slow one"}, (file,))
    with pytest.raises(
        ValueError, match="two records of mobilenetv2_100 on drawn-cars3 have the same settings and seed"
    ):
        compression.table(RECORDS, {}, files, [*made, made[0]])
    table = compression.table(RECORDS, {}, files, [*made, other, longer])
    assert table is not None
    row, apart = rows_of(table, method="timm mobilenetv2_100, from fresh weights")
    assert apart["n"] == "1"
    assert (row["data_set"], row["n"]) == (told.name, "2")
    assert [float(row[f"{cell}_mean"]) for cell in ("accuracy_percent", "mmacs", "ms", "ms_share")] == [
        75,
        2,
        0.5,
        0.25,
    ]


def test_networks_under_another_head_are_a_set_of_their_own() -> None:
    """The dense network that others are compared with is that of their own head."""
    head = replace(TINY, head="average")
    others = [
        replace(record, spec=head, cost=total_cost(head, SIDE), test={"dense-as-long": of_200(20)})
        for record in RECORDS
        if record.settings["method"] == "prune"
    ]
    table = compression.table([*RECORDS, *others], {}, None)
    assert table is not None
    first, second = (row for row in rows_of(table, method="dense, trained as long"))
    assert float(first["accuracy_percent_mean"]) == 75.25
    assert (float(second["accuracy_percent_mean"]), "average head" in second["data_set"]) == (10, True)


def test_a_report_belongs_to_the_run_that_it_is_named_after(tmp_path: Path) -> None:
    """Among results and beside a run's own files; that of another network is refused, and none is in other tables."""
    record = next(record for record in RECORDS if record.settings["method"] == "width")
    right = record.steps[-1].final.correct
    report = example_times.report("drawn-cars", {"torch": right}, None)
    report = replace(report, spec=TINY, data_digest=record.data.digest)
    sampled = {"torch": replace(report.variants["torch"], test=Evaluation(20, 9))}
    others = (
        replace(report, data_digest="another"),
        replace(report, variants=example_times.report("drawn-cars", {"torch": right - 5}, None).variants),
        replace(report, variants=sampled),
    )
    for place, beside in (
        ("results/compress/drawn-cars/a0.3-seed0.json", "results/deploy/drawn-cars/compress-a0.3-seed0.json"),
        ("runs/compress/drawn-cars/a/record.json", "runs/compress/drawn-cars/a/deployed/deploy.json"),
    ):
        write_text(tmp_path / place, to_json(record))
        write_text(tmp_path / beside, deploy.to_json(report))
        measured = load.read(tmp_path / Path(place).parts[0])
        assert (measured.compressed, measured.deployed) == ({record.key: report}, [])
        for other in others:
            write_text(tmp_path / beside, deploy.to_json(other))
            with pytest.raises(ValueError, match="the report of deploying is of another network, or of some test"):
                load.read(tmp_path / Path(place).parts[0])


def test_methods_come_in_order_from_the_largest_network_and_distillation_apart() -> None:
    taught = [compressed("low_rank", seed, 0.3, 140, distil=True) for seed in (0, 1)]
    found = [(method.name, method.budget.split()[0]) for method in methods([*reversed(RECORDS), *taught])]
    assert found[:2] == [("channels pruned", "50"), ("channels pruned", "30")]
    assert {method.budget for method in methods(RECORDS) if method.name == METHODS["sparse"]} == {
        "50 % of the weights",
        "30 % of the weights",
    }
    assert found[-1] == ("low rank + distillation", "30")
    split = compressed("prune", 0, 0.3, 140, sparse_epochs=1, fine_tune_epochs=17)
    faster = compressed("prune", 0, 0.3, 140, fine_tune_rate=0.01)
    told = {method.name for method in methods([*RECORDS, split, faster])}
    assert told >= {"channels pruned", "channels pruned, 1 + 17 epochs", "channels pruned, rate 0.01"}
    assert len(found) == 2 * len(METHODS) + 1


def test_the_figure_has_a_line_for_each_method_and_nothing_overlaps() -> None:
    drawn = figures(Measured(records=RECORDS))
    figure = drawn["figure-compression-drawn"]()
    named = {*METHODS.values(), *LEVELS}
    assert named == {text.get_text() for text in figure.legends[0].get_texts()}
    assert problems(figure) == []
    faster = [compressed("prune", 0, budget, 20, fine_tune_rate=0.01) for budget in (0.5, 0.3)]
    for records, expected in (([*RECORDS, *faster], named), (faster, {"channels pruned, rate 0.01", *LEVELS})):
        legend = figures(Measured(records=records))["figure-compression-drawn"]().legends[0]
        assert expected == {text.get_text() for text in legend.get_texts()}
    assert pruning_lines.lines([*RECORDS, *faster]) == pruning_lines.lines(RECORDS)
    assert [method for _, method in pruning_lines.lines(reversed(RECORDS))] == list(METHODS.values())
    assert [method for _, method in pruning_lines.lines(faster)] == ["channels pruned, rate 0.01"]
    other = run("ablation", variant="vgg", steps=(), test={"dense": of_200(2)})
    beside = figures(Measured(records=[*RECORDS, other]))["figure-compression-drawn"]()
    levels = [[list(line.get_ydata()) for line in each.axes[0].lines] for each in (figure, beside)]
    assert levels[0] == levels[1]
    assert "figure-compression-drawn" not in figures(Measured(records=[run()]))
