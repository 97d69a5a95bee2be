"""The README of deployed files: its code runs without this project, and its numbers are the report's."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bcnn_prune.datasets import OFFICIAL
from bcnn_prune.deployment.registry import open_any
from bcnn_prune.records import DatasetInfo, Evaluation, Latency, SpeedUp
from bcnn_prune.records.deploy import DeployReport, VariantReport, read_report
from bcnn_prune.records.latency import DENSE, Times, Timing
from data_prep.photos import Photo
from experiments import deploy, predict
from experiments.run import cli, model_card
from experiments.run.model_card import Confused
from tests.deployment.conftest import SIDE, Deployed, Trained
from tests.helpers.small_sets import Stripes, stripes

STEPS_OF_INT8 = 0.02
"""Of the largest logit: fp32 that is rounded otherwise may round to the next int8 number."""


@pytest.fixture(scope="module")
def card(deployed: Deployed) -> str:
    return (deployed.folder / "README.md").read_text("utf-8")


@pytest.mark.parametrize(("code", "file"), [(0, "model-int8.onnx"), (1, "model-int8.xml")])
def test_the_code_names_what_predict_does_and_imports_nothing_of_this_project(
    code: int, file: str, card: str, deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in deployed.folder.glob("model-int8.*"):
        shutil.copy(path, tmp_path)
    photo = tmp_path / "photo.jpg"
    Image.fromarray(Stripes(2, 5)(SIDE)).resize((50, 40)).save(photo, quality=95)
    snippet = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[code]
    assert len(snippet.splitlines()) <= 11
    more = "import sys; print(json.dumps([logits.tolist(), sorted(sys.modules)]))"
    output = subprocess.run(
        [sys.executable, "-I", "-c", snippet + more],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "ORT_DISABLE_TELEMETRY": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    named, printed = output.stdout.splitlines()
    logits, modules = json.loads(printed)
    assert not {"torch", "bcnn_prune", "experiments", "data_prep"} & set(modules)

    ours = open_any(tmp_path / file, 1).run(Photo(photo, turned=True).pixels(SIDE)[None])[0]
    np.testing.assert_allclose(logits, ours, rtol=0, atol=STEPS_OF_INT8 * np.abs(ours).max())
    cli.run(predict.main, predict.Settings, "", [str(tmp_path / file), str(photo), "--threads", "1"])
    best, _ = capsys.readouterr().out.removeprefix(f"{photo}: ").split(", ", 1)
    assert best.rsplit(" ", 1)[0] == named == "stripes 2"


def test_the_card_describes_every_file_in_the_folder(card: str, deployed: Deployed, trained: Trained) -> None:
    report = read_report(deployed.folder / "deploy.json")
    assert card.startswith(model_card.MARK)
    assert "VGG-11 BCNN: 4 classes of drawn-cars4" in card
    for path in deployed.folder.glob("model*.*"):
        assert f"`{path.name}`" in card or path.suffix == ".bin"
    for name, variant in report.variants.items():
        assert (f"| {name} | {variant.bytes / 1e3:,.0f} | {model_card.interval(variant.test)}" in card) == (
            not name.startswith("torch")
        )
    assert "Not measured: `--no-time`" in card
    assert "Most confused" not in card  # it names all test images rightly
    assert "The images are synthetic" in card
    assert "0. stripes 0\n1. stripes 1\n" in card
    assert trained.checkpoint.name not in card  # of the checkpoint nothing but its checksum
    assert f"`{report.checkpoint}`" in card


def test_times_and_mistakes_are_shown_where_there_are_some(deployed: Deployed, trained: Trained, tmp_path) -> None:
    report, data = read_report(deployed.folder / "deploy.json"), stripes(tmp_path / "set.h5", "drawn-cars4", 4)
    text = model_card.render(trained.info.card, data, timed(report), [Confused("a|b", "c_d", 3, 20)])
    assert "of drawn-cars4." in text
    assert "Licence of the data: yours to state." in model_card.render(
        replace(trained.info.card, dataset="mine"), data, timed(report), []
    )
    assert "| a\\|b | c\\_d | 3 of 20 |" in text
    assert "some may be training images" not in text
    other_file = replace(trained.info.card, data_digest="another")
    assert "test images of drawn-cars4. They are not of the file that the network was trained on" in model_card.render(
        other_file, data, timed(report), []
    )
    assert "On Some CPU, 2 threads, images of 16 px; " in text
    assert "|  | unpruned, torch | 8.00 (7.00 to 9.00) | 1.00 |" in text
    assert "| `model.onnx` | onnx | 2.00 (1.50 to 2.50) | 4.00 |" in text


def timed(report: DeployReport) -> DeployReport:
    """The ONNX variant alone, with times, among the variants."""
    dense, onnx = Latency(8.0, 7.0, 9.0, 3, 1, threads=2, load=0.0), Latency(2.0, 1.5, 2.5, 3, 1, threads=2, load=0.0)
    times = Times(100.0, {DENSE: (Timing(9, dense, SpeedUp(1, 1, 1)),), "onnx": (Timing(9, onnx, SpeedUp(4, 3, 5)),)})
    variants = {"onnx": VariantReport(5, Evaluation(20, 17), 18, 0.1)}
    return replace(report, variants=variants, times=times, provenance={"cpu": "Some CPU"})


def test_confused_pairs_are_counted_by_class() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    predicted = np.array([1, 1, 0, 1, 0, 2, 2, 1])
    logits = np.eye(3, dtype=np.float32)[predicted]
    assert model_card.most_confused(logits, labels, ("a", "b", "c")) == [
        Confused("a", "b", 2, 3),
        Confused("b", "a", 1, 2),
        Confused("c", "b", 1, 3),
    ]


def test_the_interval_is_wilsons() -> None:
    """His formula, written out: https://doi.org/10.1080/01621459.1927.10502953."""
    z, n, p = 1.959964, 80, 0.9
    middle, half = p + z**2 / 2 / n, z * (p * (1 - p) / n + z**2 / 4 / n**2) ** 0.5
    low, high = ((middle + sign * half) / (1 + z**2 / n) for sign in (-1, 1))
    assert model_card.interval(Evaluation(80, 72)) == f"90.0% ({low:.1%} to {high:.1%})"
    assert model_card.interval(Evaluation(80, 80)).endswith(" to 100.0%)")


@pytest.mark.parametrize("family", sorted(OFFICIAL))
def test_the_licence_is_that_of_the_published_set_also_for_a_part_of_it(family: str, tmp_path: Path) -> None:
    data = stripes(tmp_path / "set.h5", f"{family}3")
    terms = f"Licence of the data ({OFFICIAL[family].title}): {OFFICIAL[family].licence}."
    assert model_card.licence(data) == model_card.licence(replace(data, kind="official")) == terms
    assert "non-commercial" in terms or family == "mnist"
    own: DatasetInfo = replace(data, name="mine", family="mine", kind="own")
    assert model_card.licence(own) == "Licence of the data: yours to state."
    assert "synthetic" in model_card.licence(replace(data, kind="synthetic"))


def test_someone_elses_readme_is_not_replaced(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_text("mine")
    arguments = [str(trained.checkpoint), "--data", str(trained.data), "--out", str(tmp_path), "--threads", "1"]
    with pytest.raises(SystemExit, match="2"):
        cli.run(deploy.main, deploy.Settings, deploy.__doc__, arguments)
    assert f"--out: {tmp_path / 'README.md'} is no model card" in capsys.readouterr().err
    assert (tmp_path / "README.md").read_text() == "mine"
    model_card.require_replaceable(tmp_path / "none.md")
    (tmp_path / "README.md").write_text(f"{model_card.MARK}\n# older")
    model_card.require_replaceable(tmp_path / "README.md")
