"""The course documents' experiments: the networks that the documents count, and runs that end in records."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pytest

from bcnn_prune.data.format import describe
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.records import RunRecord, read_record
from data_prep.resize import resized
from experiments.exercises import cifar, digits, food, mobilenet
from experiments.exercises.common import ExerciseSettings, Network, flows, phase_of
from experiments.recipes import COURSE_DISTILLATION
from experiments.run.execute import execute
from experiments.run.flow import known, phases_to
from tests.helpers.commands import exit_code
from tests.helpers.explicit_records import data
from tests.helpers.small_sets import colours

COUNTED = {
    (cifar, 10, 32): {
        "plain": 747_690,
        "average": 583_466,
        "average-dense": 649_386,
        "half": 245_914,
        "half-average": 146_586,
        "reduced": 204_250,
    },
    (digits, 10, 224): {"vgg16": 134_300_362},
    (food, 11, 128): {
        "big": 12_956_235,
        "separable": 5_671_785,
        "separable-distilled": 5_671_785,
        "small": 241_099,
        "small-separable": 188_971,
        "small-grouped": 200_059,
    },
    (food, 11, 256): {"student": 256_779},
    (mobilenet, 1000, 160): {
        "alpha1": 4_231_976,
        "alpha0.75": 2_585_560,
        "alpha0.5": 1_331_592,
        "alpha0.25": 470_072,
    },
}


@pytest.mark.parametrize(("exercise", "classes", "side"), COUNTED, ids=lambda value: getattr(value, "__name__", value))
def test_networks_have_the_parameters_that_the_documents_count(exercise: Any, classes: int, side: int) -> None:
    info = replace(data("mine"), side=side, class_names=tuple(map(str, range(classes))))
    for name, params in COUNTED[exercise, classes, side].items():
        spec = exercise.Settings.NETWORKS[name].spec(info)
        assert total_cost(spec, side).params == params, name


def test_a_taught_network_learns_from_the_one_that_is_trained_without_it() -> None:
    settings, info = food.Settings(dataset="mine"), replace(data("mine"), side=64)
    planned = {flow.settings.networks[0]: flow for flow in food.flows(settings, info)}  # type: ignore[attr-defined]
    assert list(planned) == list(food.Settings.NETWORKS)
    for name, flow in planned.items():
        last = flow.networks[-1]
        assert last == phase_of(name, settings, info)
        teacher = food.Settings.NETWORKS[name].teacher
        assert last.teacher == (planned[teacher].networks[-1] if teacher else None)
        assert known(last.recipe).distillation == (COURSE_DISTILLATION if teacher else None)
    assert [phase.name for phase in phases_to(planned["teacher-pretrained"].networks[-1])] == ["classifier", "network"]
    names = [flow.settings.name(info) for flow in planned.values()]
    assert len(set(names)) == len(names)


class Taught(ExerciseSettings):
    """A small network that learns from a smaller one, and one without BatchNorm."""

    NETWORKS: ClassVar = {
        "taught": Network("small-cnn-grouped", width=0.5, teacher="teacher"),
        "teacher": Network("small-cnn", width=0.25),
        "plain": Network("cifar-cnn", width=0.25, dense=(8, 4)),
    }
    RECIPE: ClassVar = "course-photographs"


def records(folder: Path) -> dict[str, RunRecord]:
    found = [read_record(path) for path in folder.rglob("record.json")]
    return {f"{record.settings['networks']}-{record.data.side}": record for record in found}


def test_each_network_ends_in_a_record_with_its_curves_and_its_cost(tmp_path: Path) -> None:
    colours(tmp_path / "set.h5", side=16)
    told: dict[str, Any] = {"dataset": "drawn-cars3", "data": tmp_path / "set.h5", "dense_epochs": 2, "batch": 32}
    settings = Taught(**told, precision="fp32", out=tmp_path / "runs", networks=("taught", "plain"))
    execute(settings, lambda settings, info: flows("taught", settings, info))
    found = records(tmp_path / "runs" / "exercises.taught")
    assert set(found) == {"taught-16", "plain-16"}
    for name, record in found.items():
        network = Taught.NETWORKS[str(record.settings["networks"])]
        assert record.spec == network.spec(record.data)
        assert record.cost == total_cost(record.spec, 16)
        assert not {"backbone", "width", "weights", "recipe", "sparsity"} & set(record.settings)
        epochs = record.training["network"].epochs
        assert len(epochs) == 2
        assert all(epoch.val.loss is not None for epoch in epochs)
        assert all((epoch.label_loss is None) == (name == "plain-16") for epoch in epochs)
        assert record.confusion["network"].evaluation == record.test["network"]
        assert record.latency["dense"].median_ms > 0
    assert len(list((tmp_path / "runs" / "phases").glob("*/*"))) == 3


def test_sides_are_those_of_the_set_scaled_down(tmp_path: Path) -> None:
    source, small = tmp_path / "set.h5", tmp_path / "small.h5"
    info = colours(source, side=16, per_class=(3, 1, 1))
    told = resized(source, 8, small)
    assert (told.side, told.name, told.images) == (8, info.name, info.images)
    with h5py.File(source) as whole, h5py.File(small) as half:
        for split in info.images:
            for name in ("labels", "ids"):
                assert (whole[f"{split}/{name}"][:] == half[f"{split}/{name}"][:]).all()
            means = whole[f"{split}/images"][:].reshape(-1, 8, 2, 8, 2, 3).mean((2, 4))
            assert np.abs(half[f"{split}/images"][:] - means).max() <= 1
    settings = mobilenet.Settings(dataset="drawn-cars3", data=source, out=tmp_path / "runs")
    assert mobilenet.at_side(16, settings) == source
    scaled = mobilenet.at_side(8, settings)
    assert describe(scaled).digest == told.digest
    before = scaled.stat().st_mtime_ns
    assert mobilenet.at_side(8, settings) == scaled
    assert scaled.stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="holds images of 16 px, which have no 24: prepare it with --side 24"):
        mobilenet.at_side(24, settings)


@pytest.mark.parametrize(
    ("exercise", "arguments", "message"),
    [
        (cifar, ["--networks", "best"], "--networks is 'best': take plain, average, average-dense"),
        (cifar, ["--networks"], "--networks is empty: give some values, such as --networks plain average"),
        (mobilenet, ["--sides"], "--sides is empty: give some values, such as --sides 64 48 32"),
        (mobilenet, ["--sides", "0"], "--sides is 0: take 1 or more"),
        (food, ["--sparsity", "0.1"], "there is no option --sparsity"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    exercise: Any, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(exercise, "--dataset", "cars", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_images_that_one_of_the_networks_cannot_be_trained_on_are_refused_at_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """VGG-16 of the digits has no BatchNorm, which for MobileNet's maps of 1 × 1 needs two images in a batch."""
    path = tmp_path / "set.h5"
    colours(path, side=32, per_class=(11, 2, 2))
    arguments = ("--dataset", "drawn-cars3", "--data", str(path), "--batch", "16", "--out", str(tmp_path / "runs"))
    assert exit_code(digits, *arguments) == 2
    assert "the last maps of mobilenet" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.safetensors"))
