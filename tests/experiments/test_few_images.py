"""A set of three classes with five images each: prepared and run to its end, and the user is told how few they are."""

from pathlib import Path

import pytest
from PIL import Image

from bcnn_prune.data.format import describe
from bcnn_prune.records import read_record
from bcnn_prune.spec import ModelSpec
from data_prep import __main__ as data_prep_command
from experiments import oneshot
from tests.helpers.commands import exit_code
from tests.helpers.small_networks import write_first_weights
from tests.helpers.small_runs import BACKBONE, RECIPE, WIDTH, as_arguments
from tests.helpers.small_sets import Colour
from thesis_figures.page import document

EPOCHS = {"dense_epochs": 8, "sparse_epochs": 2, "fine_tune_epochs": 1, "batch": 3}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for label, name in enumerate(("red", "green", "blue")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(5):
            Image.fromarray(Colour(label, i)(24)).save(tmp_path / "photos" / name / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_on_fifteen_images_ends_and_says_how_little_they_tell(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "_bundle", str)  # takes a second, and is tested with the page
    assert exit_code(data_prep_command, "folder", "--source", "photos", "--name", "tri", "--side", "16") == 0
    info = describe(folder / "data" / "tri.h5")
    assert info.images == {"train": 9, "val": 3, "test": 3}
    write_first_weights(folder / "first.safetensors", ModelSpec.of(BACKBONE, 3, WIDTH), folder / "data" / "tri.h5")
    told = {"dataset": "tri", "weights": "first.safetensors", "backbone": BACKBONE, "width": WIDTH, "prune": 0.4}
    assert exit_code(oneshot, *as_arguments({**told, **RECIPE, **EPOCHS, "min_channels": 2, "report": True})) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "3 val and 3 test images: a single one is worth up to 33 points of accuracy" in shown
    (path,) = folder.glob("runs/oneshot/tri/*/record.json")
    record = read_record(path)
    assert {matrix.evaluation.images for matrix in record.confusion.values()} == {3}
    assert record.steps[0].final.images == 3
    page = path.with_name("report.html").read_text("utf-8")
    assert '<a href="record.json">' in page
