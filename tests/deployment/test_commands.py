"""deploy and predict as a user types them: from a checkpoint to the classes of image files, through every format."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
pytest.importorskip("nncf")

from bcnn_prune.deployment import packages
from bcnn_prune.deployment.report import DeployReport, VariantReport, held_against, read_report, to_json
from bcnn_prune.deployment.runtimes import VARIANTS
from bcnn_prune.model.weights import save
from bcnn_prune.records import Evaluation
from experiments import cli, deploy, predict
from tests.deployment.conftest import SIDE, Trained
from tests.small_sets import Stripes, stripes


def run(command: ModuleType, *arguments: object) -> None:
    cli.run(command.main, command.Settings, command.__doc__, [str(argument) for argument in arguments])


@dataclass(frozen=True)
class Deployed:
    folder: Path
    said: str
    home: Path


@pytest.fixture(scope="module")
def deployed(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """In a process of its own, as a user runs it, with a home folder that nobody has used."""
    home = tmp_path_factory.mktemp("home")
    command = [sys.executable, "-m", "experiments.deploy", str(trained.checkpoint), "--data", str(trained.data)]
    said = subprocess.run(
        [*command, "--threads", "1"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(home), "OMP_NUM_THREADS": "1"},
    )
    return Deployed(trained.folder / "deployed", said.stdout, home)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One image of the second class in every form that has to become the same RGB, and a JPEG and a larger one."""
    folder = tmp_path_factory.mktemp("images")
    stripe = Image.fromarray(Stripes(1, 77)(SIDE))
    grey = stripe.convert("L")
    made = {
        "rgb.png": stripe,
        "grey.png": grey,
        "palette.png": stripe.quantize(256),
        "transparent.png": stripe.convert("RGBA"),
        "photo.jpg": stripe.resize((60, 40)),
        "grey.jpeg": grey,
    }
    for name, image in made.items():
        image.save(folder / name, **({"quality": 95} if "p.j" in name else {}))
    return {name: folder / name for name in made}


def test_every_variant_is_written_and_held_against_the_original(trained: Trained, deployed: Deployed) -> None:
    report = read_report(deployed.folder / "deploy.json")
    assert set(VARIANTS) - set(report.variants) <= {"openvino-bf16"}  # which not every processor computes
    assert report.spec == trained.info.about.spec
    assert (report.dataset, report.calibration_images, report.kept, report.vnni) == ("drawn-cars4", 48, (), True)
    original = report.variants["torch"]
    assert original.test.images == original.agreeing == 80
    assert original.largest_difference == 0
    assert original.bytes == trained.checkpoint.stat().st_size
    for name, variant in report.variants.items():
        assert variant.test.images == 80
        assert variant.agreement > 0.95, name
        exact = "int8" not in name and "bf16" not in name
        assert variant.largest_difference < (1e-5 if exact else 0.15), name
        assert exact or variant.largest_difference > 1e-4, name
        assert not exact or variant.test == original.test, name
        assert name in deployed.said
        assert f"{variant.test.correct}/{variant.test.images}" in deployed.said
    assert "int8 from 48 val images; in fp32 there: the pooled product and its root" in deployed.said
    pair = sum((deployed.folder / name).stat().st_size for name in ("model.xml", "model.bin"))
    assert report.variants["openvino"].bytes == pair


def test_nothing_is_left_in_the_home_folder(deployed: Deployed) -> None:
    """There onnxruntime and openvino keep an identifier of the machine, to report with."""
    assert list(deployed.home.rglob("*")) == []


def test_a_chosen_part_of_the_test_images_is_enough(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["--keep", "conv1_1", "classifier", "--no-vnni", "--test-images", 30, "--threads", 1]
    run(deploy, trained.checkpoint, "--data", trained.data, "--out", tmp_path / "out", *told)
    report = read_report(tmp_path / "out" / "deploy.json")
    assert (report.kept, report.vnni) == (("conv1_1", "classifier"), False)
    assert {variant.test.images for variant in report.variants.values()} == {30}
    assert "in fp32 there: the pooled product and its root, conv1_1, classifier" in capsys.readouterr().out


@pytest.mark.parametrize(
    "model", ["model.safetensors", *(f"deployed/model{kind}" for kind in (".onnx", "-int8.onnx", ".xml", "-int8.xml"))]
)
def test_every_format_names_the_class_of_every_kind_of_image(
    model: str, trained: Trained, deployed: Deployed, images: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run(predict, trained.folder / model, *images.values(), "--threads", 1, "--batch", 4)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(images)
    for line, path in zip(lines, images.values(), strict=True):
        file, classes = line.split(": ")
        assert file == str(path)
        best = [word.rsplit(" ", 1) for word in classes.split(", ")]
        assert len(best) == 3
        assert best[0][0] == "stripes 1", line
        shares = [float(share) for _, share in best]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1.002


def test_probabilities_are_those_of_the_logits() -> None:
    logits = np.array([[0.0, 1.0, -1.0], [1000.0, 1000.0, 0.0]], np.float32)
    e = np.e
    expected = [[1 / (1 + e + 1 / e), e / (1 + e + 1 / e), 1 / e / (1 + e + 1 / e)], [0.5, 0.5, 0]]
    np.testing.assert_allclose(predict.probabilities(logits), expected, rtol=1e-7)


def refused(command: ModuleType, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that the command refuses with."""
    with pytest.raises(SystemExit) as left:
        run(command, *arguments)
    assert left.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("none.png", "none.png is missing"),
        ("text.png", "text.png is no image"),
        ("cut.png", "cut.png cannot be read"),
        ("cut.jpg", "cut.jpg cannot be read"),
        ("deep.png", "its pixels have more than 8 bits"),
        ("folder", "folder is missing"),
    ],
)
def test_an_image_that_is_none_is_refused_before_anything_is_said(
    file: str, says: str, trained: Trained, tmp_path: Path, images: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.png").write_text("no image")
    for name, source in (("cut.png", "rgb.png"), ("cut.jpg", "photo.jpg")):
        whole = images[source].read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "folder").mkdir()
    assert says in refused(predict, capsys, trained.checkpoint, images["rgb.png"], tmp_path / file)


def test_what_predict_cannot_do_is_refused(
    trained: Trained, images: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, image = trained.checkpoint, images["rgb.png"]
    assert "no image: name one or more files" in refused(predict, capsys, checkpoint)
    assert "set.h5 is no network: take a file" in refused(predict, capsys, trained.data, image)
    assert "none.onnx does not exist" in refused(predict, capsys, trained.folder / "none.onnx", image)
    assert "--batch is 0: take 1 or more" in refused(predict, capsys, checkpoint, image, "--batch", 0)
    assert "--threads is 0: take 1 or more" in refused(predict, capsys, checkpoint, image, "--threads", 0)
    assert "it is 16 px high, with a banner of 16 px" in refused(predict, capsys, checkpoint, image, "--banner", SIDE)


def test_what_cannot_be_deployed_is_refused_and_nothing_written(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, data = trained.checkpoint, ("--data", trained.data)
    told = (*data, "--out", tmp_path / "out")
    assert "no layer conv9_9 to keep" in refused(deploy, capsys, checkpoint, *told, "--keep", "conv9_9")
    assert "--test-images is 0: take 1 or more" in refused(deploy, capsys, checkpoint, *told, "--test-images", 0)
    assert "none.safetensors does not exist" in refused(deploy, capsys, tmp_path / "none.safetensors", *told)
    assert "no safetensors file, or it is damaged" in refused(deploy, capsys, trained.data, *told)
    stripes(tmp_path / "other.h5", "drawn-cars4", classes=3)
    other = ("--data", tmp_path / "other.h5", "--out", tmp_path / "out")
    assert "other classes than the checkpoint" in refused(deploy, capsys, checkpoint, *other)
    stripes(tmp_path / "other.h5", "drawn-cars4", classes=4, side=24)
    assert "holds images of 24 px, the checkpoint takes 16 px" in refused(deploy, capsys, checkpoint, *other)
    short = replace(trained.info, class_names=("a", "b"))
    save(tmp_path / "short.safetensors", trained.model, short)
    assert "2 class names for a network of 4" in refused(deploy, capsys, tmp_path / "short.safetensors", *told)
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name in ("onnx", "nncf") else name)
    assert "this needs onnx, nncf: pip install onnx nncf, or" in refused(deploy, capsys, checkpoint, *told)
    assert not (tmp_path / "out").exists()


def test_a_report_counts_on_the_same_images() -> None:
    original = np.array([[2.0, 1.0], [0.0, 4.0], [3.0, -1.0]], np.float32)
    found = np.array([[2.0, 3.0], [0.0, 4.0], [3.0, -1.0]], np.float32)
    report = held_against(found, original, np.array([1, 0, 1]), size=5)
    assert report == VariantReport(bytes=5, test=Evaluation(3, 1), agreeing=2, largest_difference=0.5)
    assert report.agreement == 2 / 3


def test_a_report_comes_back_from_its_file(tmp_path: Path, trained: Trained) -> None:
    variant = VariantReport(bytes=5, test=Evaluation(3, 2), agreeing=2, largest_difference=0.1)
    report = DeployReport(
        "ab", trained.info.about.spec, "drawn-cars4", "cd", 16, 48, ("conv1_1",), True, {"onnx": variant}, {}
    )
    path = tmp_path / "deploy.json"
    path.write_text(to_json(report))
    assert read_report(path) == report
    for text in (
        "",
        "[]",
        "{}",
        to_json(report).replace('"version": 1', '"version": 9'),
        to_json(report).replace("kept", "k"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"deploy.json is no deploy report"):
            read_report(path)
