"""Pretraining: a trunk in torchvision's layout that every flow takes, described in its own file."""

import json
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file

from bcnn_prune.data.format import describe
from bcnn_prune.model.init import pretrained
from bcnn_prune.records import read_record
from bcnn_prune.spec import ModelSpec
from experiments import pretrain
from tests.helpers.commands import exit_code
from tests.helpers.small_runs import BACKBONE, TRUNK, WIDTH, prepare, settings_for


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrain")
    prepare(folder)
    pretrain.main(settings(folder))
    return folder


def settings(folder: Path) -> pretrain.Settings:
    told = {name: value for name, value in settings_for(folder).items() if name in ("dataset", "data", "weights")}
    return pretrain.Settings(
        **told, backbone=BACKBONE, width=WIDTH, epochs=2, batch=32, seed=3, precision=TRUNK, out=folder / "runs"
    )


def run_folder(folder: Path) -> Path:
    (record,) = folder.glob("runs/pretrain/*/*/record.json")
    return record.parent


def test_the_file_has_torchvisions_names_and_the_weights_of_the_kept_epoch(folder: Path) -> None:
    found = load_file(run_folder(folder) / pretrain.FILE)
    assert set(found) == {f"features.{name}" for name in torchvision.models.vgg11_bn().features.state_dict()}
    (phase,) = folder.glob("runs/phases/*/dense-*")
    spec = ModelSpec.of(BACKBONE, 3, WIDTH)
    model = pretrained(str(run_folder(folder) / pretrain.FILE), spec, torch.Generator().manual_seed(0))
    for name, tensor in load_file(phase / "weights.safetensors").items():
        if name.startswith("trunk.") and "tracked" not in name:
            assert torch.equal(model.state_dict()[name], tensor), name


def test_the_file_and_the_record_say_what_it_was_trained_on(folder: Path) -> None:
    with safe_open(run_folder(folder) / pretrain.FILE, "pt") as file:
        about = json.loads(file.metadata()["about"])
    record, info = read_record(run_folder(folder) / "record.json"), describe(folder / "set.h5")
    assert (about["dataset"], about["data_digest"], about["side"]) == (info.name, info.digest, info.side)
    assert (about["seed"], about["spec"]["head"]) == (3, "average")
    kept = record.training["dense"].kept
    assert about["val"] == {"images": kept.val.images, "correct": kept.val.correct, "loss": kept.val.loss}
    assert (about["recipe"]["epochs"], about["recipe"]["batch"], about["recipe"]["learning_rate"]) == (2, 32, 0.01)
    assert record.spec.head == "average"


def test_a_second_command_trains_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = read_record(run_folder(folder) / "record.json")
    pretrain.main(settings(folder))
    said = capsys.readouterr().out
    assert said.count("finished before") == 1
    assert f"--weights {run_folder(folder) / pretrain.FILE}" in said.replace("\n", "")
    assert read_record(run_folder(folder) / "record.json").repeatable() == before.repeatable()


def test_what_means_nothing_here_is_no_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(pretrain, "--dataset", "cars", "--sparsity", "0.1") == 2
    assert "did you mean --sparsity?" not in capsys.readouterr().err
    assert exit_code(pretrain, "--dataset", "cars", "--head", "reduced") == 2
    assert exit_code(pretrain, "--dataset", "cars", "--epochs", "0") == 2
    assert "--epochs is 0: take 1 or more" in capsys.readouterr().err
