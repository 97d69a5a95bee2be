"""Speed of data_prep: each way reads the same picture, and the command times all of them in turn."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.measure import preparation
from experiments.measure.drawn_photos import draw
from experiments.measure.preparation import WAYS, Settings
from experiments.run import cli


def command(*arguments: str) -> None:
    cli.run(preparation.main, Settings, preparation.__doc__, arguments)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_times_every_way_on_drawn_photographs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("--images", "3", "--photo", "60", "44", "--side", "16", "--rounds", "2")
    (file,) = (here / "runs" / "preparation").glob("*.json")
    result = json.loads(file.read_text())
    assert result["sizes"] == [[60, 60], [44, 44]]
    assert result["images"] == 3
    assert result["seconds"].keys() == WAYS.keys()
    assert all(len(times) == 2 and min(times) > 0 for times in result["seconds"].values())
    assert result["differences"]["data_prep"] == {"mean": 0, "largest": 0}
    assert "3 drawn photographs of 60-60 × 44-44 px to 16 px" in capsys.readouterr().out
    for images, width in (("4", "60"), ("3", "61")):
        with pytest.raises(SystemExit, match="2"):
            command("--images", images, "--photo", width, "44", "--side", "16", "--rounds", "2")
        assert "was measured by other settings" in capsys.readouterr().err
    assert json.loads(file.read_text()) == result


def test_a_folder_of_photographs_is_read_in_order_and_up_to_the_count(here: Path) -> None:
    sizes = [(40, 30), (50, 20), (90, 90)]
    for number, size in enumerate(sizes):
        draw([Path("photos") / f"class{number}" / "photo.jpg"], size, lambda *_: None)
    command("--source", "photos", "--images", "2", "--side", "8", "--rounds", "1")
    (file,) = (here / "runs" / "preparation").glob("*.json")
    assert file.name == "side8-photos.json"
    measured = file.read_text()
    assert json.loads(measured)["sizes"] == [[40, 50], [20, 30]]
    for number in (0, 1):
        draw([Path("other") / "photos" / f"{number}.jpg"], (90, 90), lambda *_: None)
    with pytest.raises(SystemExit, match="2"):  # photographs of the same name and number, of other sizes
        command("--source", "other/photos", "--images", "2", "--side", "8", "--rounds", "1")
    assert file.read_text() == measured


def test_every_way_reads_the_same_picture(tmp_path: Path) -> None:
    """A smooth picture, of which a JPEG at a half of its side keeps all that a resize does."""
    across, down = np.meshgrid(np.linspace(0, 255, 256), np.linspace(0, 255, 192))
    path = tmp_path / "smooth.jpg"
    Image.fromarray(np.stack([across, down, 255 - across], axis=2).astype(np.uint8)).save(path, quality=95)
    ours = WAYS["data_prep"](path, 64).astype(int)
    for name, read in WAYS.items():
        pixels = read(path, 64)
        assert (pixels.shape, pixels.dtype) == ((64, 64, 3), np.uint8)
        assert np.abs(pixels - ours).max() <= 4, name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--images", "0"), "--images is 0"),
        (("--photo", "0", "5"), "--photo is 0 5: take 1 px or more each way"),
        (("--source", "missing"), "missing"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command(*arguments)
    assert message in capsys.readouterr().err
    assert not list(here.rglob("*.json"))
