import io
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import h5py
import pytest
from PIL import ExifTags, Image
from rich.console import Console

from bcnn_prune.data.format import describe
from bcnn_prune.datasets import OFFICIAL, DatasetName
from data_prep import __main__ as data_prep_command
from data_prep import progress
from data_prep.official.cars import annotations
from data_prep.official.lists import lines
from data_prep.prepare import default_path, prepare_drawn, reader
from data_prep.progress import progress_reporter
from tests.helpers.commands import exit_code
from tests.helpers.layouts import aircraft, birds, cars, edit, kaggle
from tests.helpers.permissions import ordinary_user

ROOT = Path(__file__).parents[2]
LAYOUTS = {"aircraft": aircraft, "birds": birds, "cars": cars}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*words):
    return exit_code(data_prep_command, *words)


@pytest.mark.parametrize("family", LAYOUTS)
def test_a_part_of_a_set_is_called_by_its_number_of_classes(tmp_path, family, capsys):
    source = LAYOUTS[family](tmp_path / "source")
    assert run(family, "--source", source, "--subset", "--side", 8) == 0
    info = describe(tmp_path / "data" / f"{family}3.h5")
    assert (info.name, info.side, info.classes) == (f"{family}3", 8, 3)
    assert info.images == {"train": 6, "val": 3, "test": 3}
    assert (info.source_widths, info.source_heights) == ((48, 48), (64, 64))
    printed = capsys.readouterr().out
    for cell in (f"Table 4.1: {family}3", "train", " 6 ", " 3 ", " 4 ", "48 × 64", f"data/{family}3.h5"):
        assert cell in printed


@pytest.mark.parametrize("family", LAYOUTS)
def test_photographs_that_note_a_rotation_are_counted_and_left_as_they_are(tmp_path, family, capsys):
    source = LAYOUTS[family](tmp_path / "source")
    assert run(family, "--source", source, "--subset", "--side", 8) == 0
    assert "EXIF" not in capsys.readouterr().out
    before = describe(tmp_path / "data" / f"{family}3.h5")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for path in sorted(source.rglob("*.jpg"))[:2]:
        note, whole = exif.tobytes(), path.read_bytes()
        path.write_bytes(whole[:2] + b"\xff\xe1" + (len(note) + 2).to_bytes(2, "big") + note + whole[2:])
    assert run(family, "--source", source, "--subset", "--side", 8) == 0
    assert "2 of 12 photographs note a rotation (EXIF), which is not applied" in capsys.readouterr().out
    assert describe(tmp_path / "data" / f"{family}3.h5") == before


def test_a_place_that_cannot_be_written_and_a_list_that_is_none_name_their_option(tmp_path, capsys):
    Path("data").touch()
    assert run("cars", "--drawn") == 2
    assert (
        capsys.readouterr().err
        == "error: data is a file, where a folder is needed: move it away, or give another --out\n"
    )
    (tmp_path / "lists").mkdir()
    assert run("cars", "--source", cars(tmp_path / "source"), "--subset", "--only", "lists") == 2
    assert capsys.readouterr().err == "error: lists is a folder: name the file in it\n"


def test_lists_and_devkits_that_may_not_be_read_are_not_called_missing_or_damaged():
    with ordinary_user() as home:
        for name in ("list.txt", "annotations.mat"):
            (home / name).touch(0)
        with pytest.raises(PermissionError, match=r"list.txt may not be read by you"):
            next(lines(home / "list.txt", ".*", ""))
        with pytest.raises(PermissionError, match=r"annotations.mat may not be read by you"):
            next(annotations(home / "annotations.mat"))


def test_both_layouts_of_cars_give_the_same_digest(tmp_path):
    for name, layout in (("one", cars), ("other", kaggle)):
        assert run("cars", "--source", layout(tmp_path / name), "--subset", "--side", 8, "--out", f"{name}.h5") == 0
    assert describe(tmp_path / "one.h5") == describe(tmp_path / "other.h5")


def test_val_is_cut_by_share_and_seed(tmp_path):
    source = cars(tmp_path / "source")
    ids = []
    for seed, share in ((0, 0.3), (0, 0.3), (2, 0.3), (0, 0.67)):
        assert run("cars", "--source", source, "--subset", "--side", 4, "--seed", seed, "--val-share", share) == 0
        with h5py.File("data/cars3.h5") as file:
            ids.append(set(file["val/ids"].asstr()))
            counts = Counter(file["val/labels"][:].tolist())
        assert counts == dict.fromkeys(range(3), 1 if share == 0.3 else 2)
    assert ids[0] == ids[1] != ids[2]
    assert ids[0] < ids[3]


@pytest.mark.parametrize(
    ("family", "counts"),
    [
        ("aircraft", (100, 6667, 3333)),
        ("cars", (196, 8144, 8041)),
        ("birds", (200, 5994, 5794)),
        ("mnist", (10, 60000, 10000)),
    ],
)
def test_the_numbers_of_the_official_sets(family, counts):
    assert (OFFICIAL[family].classes, OFFICIAL[family].train, OFFICIAL[family].test) == counts


@pytest.mark.parametrize("family", OFFICIAL)
def test_every_registered_set_has_a_reader_that_says_what_it_looked_for(tmp_path, family):
    with pytest.raises(ValueError, match=r"^--source .* is no folder of .*: looked in"):
        reader(family)(tmp_path)


def test_a_part_does_not_pass_for_the_official_set(tmp_path, capsys):
    source = birds(tmp_path / "source")
    assert run("birds", "--source", source, "--side", 8) == 2
    assert capsys.readouterr().err == (
        f"error: --source {source} lists 3 classes, 9 training and 3 test images, the official set has 200 classes,"
        " 5,994 training and 5,794 test images: complete it, or pass --subset\n"
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("subset", [[], ["--subset"]])
def test_a_complete_set_has_the_official_name(tmp_path, monkeypatch, capsys, subset):
    monkeypatch.setitem(OFFICIAL, "birds", replace(OFFICIAL["birds"], classes=3, train=9, test=3))
    source = birds(tmp_path / "source")
    assert run("birds", "--source", source, "--side", 8, *subset) == 0
    assert describe(tmp_path / "data" / "birds.h5").name == "birds"
    assert ("complete set: it is called birds" in capsys.readouterr().out) == bool(subset)
    edit(source / "images.txt", 1, None)
    for file in ("image_class_labels.txt", "train_test_split.txt"):
        edit(source / file, 1, None)
    assert run("birds", "--source", source, "--side", 8, *subset) == (0 if subset else 2)
    assert (tmp_path / "data" / "birds3.h5").exists() == bool(subset)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (
            lambda root: (root / "images/001.Ant_1999/Bird_98.jpg").unlink(),
            "images.txt line 2: .*Bird_98.jpg is missing",
        ),
        (lambda root: (root / "images/001.Ant_1999/Bird_98.jpg").write_text("x"), "images.txt line 2: .* is no image"),
        (lambda root: cut(root / "images/001.Ant_1999/Bird_98.jpg"), "images.txt line 2: .*Bird_98.jpg cannot be read"),
        (lambda root: edit(root / "images.txt", 2, "2"), "images.txt line 2: '2' is not of the form"),
        (lambda root: (root / "classes.txt").unlink(), "classes.txt is missing"),
        (lambda root: edit(root / "classes.txt", 3, "3 003.Bee_F-16\n4 004.Cat"), "class '004.Cat' has no train image"),
    ],
)
def test_a_fault_is_one_line_and_exit_status_2_and_no_file(tmp_path, capsys, spoil, problem):
    source = birds(tmp_path / "source")
    spoil(source)
    assert run("birds", "--source", source, "--subset", "--side", 8) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert re.search(problem, printed.err)
    assert not list(tmp_path.glob("data/*.h5"))


def test_a_full_disk_is_one_line_and_exit_status_2(tmp_path, monkeypatch, capsys):
    disk = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk)
    assert run("cars", "--source", cars(tmp_path / "source"), "--subset") == 2
    assert capsys.readouterr().err.startswith("error: the disk of data/cars3.h5 is full")


def cut(path):
    path.write_bytes(path.read_bytes()[:-60])


@pytest.mark.parametrize(
    "words",
    [
        ["cars"],
        ["cars", "--drawn", "--source", "."],
        ["cars", "--drawn", "--subset"],
        ["cars", "--drawn", "--val-share", "0.2"],
        ["cars", "--source", ".", "--classes", "50"],
    ],
)
def test_a_command_that_makes_no_sense_is_refused_in_one_line(words, capsys):
    assert run(*words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_family_that_is_none_is_a_usage_error(capsys):
    assert run("boats", "--drawn") == 2
    assert f"'boats': take {', '.join(OFFICIAL)}, digits or folder" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--side", 0], ["--side", -3], ["--classes", 0], ["--classes", 100_000]])
def test_a_synthetic_set_that_cannot_be_is_refused(words, capsys):
    assert run("cars", "--drawn", *words) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_synthetic_set_goes_the_same_way_under_its_own_name(tmp_path, capsys):
    assert run("cars", "--drawn", "--classes", 3, "--side", 16) == 0
    info = describe(tmp_path / "data" / "drawn-cars3.h5")
    assert (info.name, info.side, info.classes, info.source_widths) == ("drawn-cars3", 16, 3, (16, 16))
    assert "Table 4.1: drawn-cars3" in capsys.readouterr().out
    assert prepare_drawn(DatasetName.synthetic("cars", 3), 16, tmp_path / "again.h5") == info
    assert info.images == {"train": 120, "val": 30, "test": 75}


def test_a_synthetic_set_with_fewer_training_images_is_a_part_of_the_larger(tmp_path):
    for words in ([], ["--train-images", 2]):
        assert run("cars", "--drawn", "--classes", 3, "--side", 16, *words) == 0
    few, all_ = (tmp_path / "data" / f"drawn-cars3{few}.h5" for few in ("x2", ""))
    assert describe(few).images == {"train": 6, "val": 30, "test": 75}
    for split, images in describe(few).images.items():
        held, of_all = (dict(images_by_id(path, split)) for path in (few, all_))
        assert len(held) == images
        assert held.items() <= of_all.items()


def images_by_id(path, split):
    with h5py.File(path) as file:
        group = file[split]
        for id, label, image in zip(group["ids"].asstr(), group["labels"], group["images"], strict=True):
            yield id, (int(label), image.tobytes())


def test_where_the_sets_lie():
    names = [DatasetName.synthetic("cars"), DatasetName.synthetic("cars", 20), DatasetName.synthetic("birds", 50)]
    assert [str(default_path(name.name)) for name in names] == [
        "data/drawn-cars.h5",
        "data/drawn-cars.h5",
        "data/drawn-birds50.h5",
    ]


def test_a_user_who_stops_it_is_told_that_nothing_was_written(tmp_path, monkeypatch, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("data_prep.photos.Photo.pixels", stopped)
    assert run("cars", "--source", cars(tmp_path / "source"), "--subset") == 130
    assert capsys.readouterr().err == "stopped: nothing was written\n"


def test_the_command_starts_and_ends_with_the_status(tmp_path):
    command = [sys.executable, "-m", "data_prep", "cars", "--source", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"error: --source {tmp_path} is no folder of stanford_cars")
    assert ended.stderr.count("\n") == 1


def test_progress_is_a_line_now_and_then_or_a_bar(monkeypatch):
    text = io.StringIO()
    with progress_reporter(Console(file=text)) as report:
        report("writing", 64, 2_000)
        assert text.getvalue() == ""
        monkeypatch.setattr(progress, "EVERY", 0)
        report("writing", 128, 2_000)
    assert text.getvalue() == "writing: 128 of 2,000 images\n"
    bar = io.StringIO()
    with progress_reporter(Console(file=bar, force_terminal=True, width=100)) as report:
        report("checking", 2, 2)
        report("writing", 1, 2)
        report("writing", 2, 2)
    assert "checking" in bar.getvalue()
    assert "2/2" in bar.getvalue()
