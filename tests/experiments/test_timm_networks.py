"""Networks of timm: trained, resumed and recorded as ours, without a pretrained weight."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file

from bcnn_prune.data.batches import read_split
from bcnn_prune.evaluation.accuracy import confusion_matrix
from bcnn_prune.files import write_text
from bcnn_prune.model.timm_network import TimmNetwork
from bcnn_prune.records import timm_network
from bcnn_prune.training import resume
from experiments import timm_networks
from experiments.timm_networks import Settings, main
from tests.helpers.commands import exit_code
from tests.helpers.small_sets import stripes
from thesis_figures import load

NAME, SIDE = "test_efficientnet", 32


def settings(folder: Path, **changed: object) -> Settings:
    if not (folder / "set.h5").exists():
        stripes(folder / "set.h5", side=SIDE)
    told = {"data": folder / "set.h5", "networks": (NAME,), "epochs": 2, "batch": 24, "precision": "fp32"}
    told["out"] = folder / "runs"
    return Settings(dataset="cars", **{**told, **changed})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("timm")
    main(settings(folder, results=folder / "results"))
    return folder


def test_the_record_is_that_of_the_weights_beside_it(folder: Path) -> None:
    (record,) = timm_network.read(folder / "results")
    assert timm_network.read(folder / "runs") == [record]
    (run,) = folder.glob("runs/timm_networks/*/*/record.json")
    write_text(run.parent.with_name(f"{run.parent.name}.json"), run.read_text(encoding="utf-8"))
    assert timm_network.read(folder / "runs") == [record]
    assert (record.network, record.weights, record.seed) == (NAME, "none", 0)
    assert [epoch.epoch for epoch in record.history.epochs] == [1, 2]
    model = TimmNetwork(NAME, 3)
    (weights,) = folder.glob("runs/timm_networks/*/*/weights.safetensors")
    model.load_state_dict(load_file(weights))
    assert record.test == confusion_matrix(model, read_split(folder / "set.h5", "test", torch.device("cpu")))
    assert not list(folder.rglob("state*.pt"))


def test_parameters_are_those_of_timms_own_network_with_as_many_classes(folder: Path) -> None:
    (record,) = timm_network.read(folder / "results")
    theirs = timm.create_model(NAME, num_classes=3)
    assert record.cost.params == sum(parameter.numel() for parameter in theirs.parameters())
    assert record.file_bytes == sum(tensor.nbytes for tensor in theirs.state_dict().values())


@torch.no_grad()
def test_logits_are_those_of_timms_own_network_with_the_same_weights() -> None:
    ours, theirs = TimmNetwork(NAME, 3).eval(), timm.create_model(NAME, num_classes=3).eval()
    named = {**ours.trunk.state_dict(), **{f"classifier.{k}": v for k, v in ours.classifier.state_dict().items()}}
    theirs.load_state_dict(named)
    images = torch.rand(2, 3, SIDE, SIDE)
    assert torch.allclose(ours(images), theirs(images), rtol=1e-5, atol=1e-6)


def test_a_second_command_trains_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm_networks, "fit", None)
    main(settings(folder, results=folder / "others"))
    assert timm_network.read(folder / "others") == timm_network.read(folder / "results")


def test_an_interrupted_training_ends_as_an_unbroken_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = resume.EpochCheckpoints.save

    def stopped(self: resume.EpochCheckpoints, state: dict[str, object]) -> None:
        save(self, state)
        raise KeyboardInterrupt

    told = settings(folder, out=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(resume.EpochCheckpoints, "save", stopped)
        with pytest.raises(KeyboardInterrupt):
            main(told)
    assert timm_network.read(tmp_path) == []
    with monkeypatch.context() as patch:
        patch.setattr(timm_networks, "confusion_matrix", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            main(told)
    with monkeypatch.context() as patch:
        patch.setattr(resume.EpochCheckpoints, "save", lambda *_: pytest.fail("an epoch was trained again"))
        main(told)
    assert not list(tmp_path.rglob("state*.pt"))
    (ended,), (whole,) = timm_network.read(tmp_path), timm_network.read(folder / "results")
    assert ended.history.without_clock() == whole.history.without_clock()
    assert ended.test == whole.test


def test_another_recipe_does_not_replace_a_record(folder: Path) -> None:
    with pytest.raises(
        FileExistsError, match="another recipe or number format, and stays: move it away, or name another --out"
    ):
        main(settings(folder, epochs=1))
    with pytest.raises(FileExistsError, match="another recipe or number format, and stays"):
        main(settings(folder, precision="bf16"))
    main(settings(folder, precision="auto"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--networks", "mobilenet9"), "timm has no network mobilenet9: take one of timm.list_models()"),
        (("--networks", "vit_tiny_patch16_224"), "cannot train on a batch of 24 images of 32 px"),
        (("--batch", "71"), "cannot train on a batch of 1 images of 32 px: take another --batch"),
    ],
)
def test_networks_and_batches_that_cannot_be_are_refused(
    words: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = settings(tmp_path)
    fixed = ("--dataset", "cars", "--data", told.data, "--out", told.out, "--networks", NAME, "--batch", 24)
    assert exit_code(timm_networks, *fixed, *words) == 2
    assert message in capsys.readouterr().err


def test_weights_that_cannot_be_fetched_are_a_lack_of_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise RuntimeError("no network")

    monkeypatch.setattr(timm, "create_model", no_network)
    with pytest.raises(ConnectionError, match=f"those of {NAME} are not on this machine.*take --weights none"):
        TimmNetwork(NAME, 3, imagenet=True)


def test_tables_read_them_from_results(folder: Path) -> None:
    (record,) = timm_network.read(folder / "results")
    assert load.read(folder / "results").timm == [record]
