"""The course documents' experiments, as records of made-up accuracies: rows beside those they are set against."""

import math
from dataclasses import replace
from statistics import stdev

import pytest
from scipy.stats import norm, t

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.records import ConfusionMatrix, EpochStats, Evaluation, History, Latency, RunRecord
from bcnn_prune.records.file_latency import FileTime, FileTimes, shapes
from experiments.exercises import cifar, digits, food, mobilenet
from tests.helpers.explicit_records import IMAGES, data, of_200, rows_of, run
from tests.helpers.figure_layout import problems
from thesis_figures.analysis.exercises import NETWORK, PARTS, PREFIX
from thesis_figures.catalogue import figures
from thesis_figures.load import Measured
from thesis_figures.page.run import command
from thesis_figures.tables import exercises, measured_tables

EXERCISES = {"cifar": cifar, "mobilenet": mobilenet, "food": food, "digits": digits}


def made(exercise: str, network: str, seed: int, correct: int, side: int = 64, set_: str = "mine") -> RunRecord:
    """A network that is right on so many of 200 images."""
    info = replace(data(set_), side=side, digest=f"{set_} at {side}")
    spec = EXERCISES[exercise].Settings.NETWORKS[network].spec(info)
    rising = (EpochStats(i, 0.1, 2 / i, of_200(i), Evaluation(200, i, 1 / i), 0.0, 1.0) for i in (1, 2, 3))
    record = run(
        PREFIX + exercise,
        seed,
        steps=(),
        test={NETWORK: of_200(correct)},
        training={NETWORK: History(tuple(rising), 3)},
        networks=network,
    )
    right, wrong = correct, IMAGES - correct
    matrix = ConfusionMatrix((0, 0), (0, 1), (right, wrong), IMAGES)
    settings = {"networks": network, "dataset": set_, "seed": seed}
    recipes = {NETWORK: record.recipes["dense"]}
    cost, confusion = total_cost(spec, side), {NETWORK: matrix}
    return replace(
        record, settings=settings, data=info, spec=spec, cost=cost, confusion=confusion, recipes=recipes, scales={}
    )


RECORDS = [
    made(exercise, network, seed, 120 + 5 * i + seed * i, side)
    for exercise, sides in (("cifar", (32,)), ("mobilenet", (64, 48)), ("food", (64,)), ("digits", (32,)))
    for side in sides
    for i, network in enumerate(EXERCISES[exercise].Settings.NETWORKS)
    for seed in (0, 1, 2)
]


def test_parts_hold_the_networks_of_the_commands() -> None:
    for exercise, module in EXERCISES.items():
        parts = [part for part in PARTS.values() if part.experiment == exercise]
        assert [name for part in parts for name in part.networks] == list(module.Settings.NETWORKS)
        for part in parts:
            assert {against for _, against in part.networks.values()} <= {"", *part.networks}


def test_a_row_holds_what_its_records_do_and_differences_are_paired() -> None:
    table = exercises.table(RECORDS, None)
    assert table is not None
    assert len(table.rows) == 6 + 2 * 4 + 11 + 2
    (row,) = rows_of(table, network="half the width", document="000, part 2")
    ours = [120 + 15 + 3 * seed for seed in range(3)]
    points = [100 * (own - 120) / IMAGES for own in ours]
    assert float(row["accuracy_percent_mean"]) == pytest.approx(100 * ours[1] / IMAGES)
    assert (row["against"], float(row["change_points_mean"])) == ("as published", pytest.approx(points[1]))
    half = float(t.ppf(0.975, 2)) * stdev(points) / math.sqrt(3)
    assert float(row["change_interval"]) == pytest.approx(half)
    assert float(row["params_mean"]) == made("cifar", "half", 0, 1, 32).cost.params
    assert (float(row["train_percent_mean"]), float(row["val_loss_mean"])) == (1.5, pytest.approx(1 / 3))
    assert float(row["macro_recall_percent_mean"]) == pytest.approx(100 * ours[1] / IMAGES)
    assert {row["side"] for row in rows_of(table, document="001")} == {"64", "48"}
    longer = made("cifar", "half", 0, 190, 32)
    longer = replace(longer, settings={**longer.settings, "dense_epochs": 72})
    (row,) = rows_of(exercises.table([*RECORDS, longer], None), network="half the width, 72 epochs")
    assert (row["n"], row["against"]) == ("1", "")  # nothing else was trained as long
    assert exercises.table([run()], None) is None
    assert table in measured_tables(Measured(records=[*RECORDS, run()]))


def test_of_one_seed_the_interval_is_that_of_two_counts() -> None:
    table = exercises.table([made("digits", "vgg16", 0, 190), made("digits", "mobilenet", 0, 180)], None)
    assert table is not None
    (row,) = rows_of(table, network="MobileNet")
    half = 100 * float(norm.ppf(0.975)) * math.sqrt((0.95 * 0.05 + 0.9 * 0.1) / IMAGES)
    assert [float(row[name]) for name in ("change_points_mean", "change_interval")] == pytest.approx([-5, half])


def test_networks_that_were_trained_otherwise_are_not_set_against_each_other() -> None:
    longer = made("digits", "vgg16", 0, 190)
    longer = replace(longer, settings={**longer.settings, "dense_epochs": 60})
    for records, against in (([longer], ""), ([longer, made("digits", "vgg16", 0, 170)], "VGG-16")):
        (row,) = rows_of(exercises.table([*records, made("digits", "mobilenet", 0, 180)], None), network="MobileNet")
        assert row["against"] == against
        assert row["change_points_mean"] == ("" if not against else "5")


def test_milliseconds_are_those_of_a_network_s_own_file() -> None:
    """Of the same network on images of two sides there are two files; what was not timed has no time."""
    both = [made("mobilenet", "alpha1", seed, 100, side) for side in (64, 48) for seed in (0, 1)]
    both.append(made("mobilenet", "alpha0.5", 0, 90))
    timed = [FileTime(*one, Latency(one[0] / 10, 1, 9, 30, 1, 1)) for one in set().union(*map(shapes, both[:4]))]
    files = FileTimes("onnx-int8", tuple(timed), {"cpu": "a processor"})
    table = exercises.table(both, files)
    assert table is not None
    told = {(row["side"], row["network"]): row["ms_mean"] for row in rows_of(table)}
    assert told == {("64", "α = 1"): "6.4", ("64", "α = 0.5"): "", ("48", "α = 1"): "4.8"}
    assert "ONNX Runtime int8, threads: 1, on a processor" in table.notes[-1]
    figure = figures(Measured(records=both, files=files))["figure-exercises-mobilenet"]()
    assert problems(figure) == []
    (ax,) = (ax for ax in figure.axes if "ms in ONNX Runtime int8" in ax.get_xlabel())
    assert {float(x) for line in ax.lines for x in line.get_xdata()} == {4.8, 6.4}


def test_figures_name_every_network_and_nothing_overlaps() -> None:
    drawn = figures(Measured(records=RECORDS))
    for name, part in PARTS.items():
        figure = drawn[f"figure-exercises-{name}"]()
        told = {text.get_text() for text in figure.legends[0].get_texts()}
        assert told == ({"64 px", "48 px"} if name == "mobilenet" else {text for text, _ in part.networks.values()})
        assert problems(figure) == []
    figure = drawn["figure-training-cifar-mine"]()
    assert problems(figure) == []
    (loss,) = (ax for ax in figure.axes if ax.get_ylabel() == "cross-entropy")
    train, val = ([float(value) for value in line.get_ydata()] for line in loss.lines)
    assert (train, val) == (pytest.approx([2, 1, 2 / 3]), pytest.approx([1, 1 / 2, 1 / 3]))
    assert not any(name.startswith("figure-exercises") for name in figures(Measured(records=[run()])))
    alone = figures(Measured(records=[made("cifar", "half", 0, 120)]))
    assert {name for name in alone if "cifar" in name} == {"figure-training-cifar-mine"}


def test_the_command_of_a_record_is_one_that_makes_it_again() -> None:
    record = made("mobilenet", "alpha0.5", 1, 100)
    told = command(replace(record, settings={**record.settings, "sides": "48"}))
    assert told == "python -m experiments.exercises.mobilenet --networks alpha0.5 --dataset mine --seed 1 --sides 48"
