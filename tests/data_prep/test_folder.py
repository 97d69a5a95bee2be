"""Sets of anyone's own: every layout of class folders, and every odd file handled or refused by its path."""

from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import ExifTags, Image
from torchvision.datasets import ImageFolder

from bcnn_prune.data.format import SPLITS, describe
from bcnn_prune.datasets import OFFICIAL, DatasetName, require_own_name
from data_prep import __main__ as data_prep_command
from data_prep.folder import read
from tests.helpers.commands import exit_code
from tests.helpers.layouts import own_folder


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(source, *words):
    return exit_code(data_prep_command, "folder", "--source", source, "--name", "mushrooms", "--side", 8, *words)


def held(path="data/mushrooms.h5"):
    """Ids of every split."""
    with h5py.File(path) as file:
        return {split: list(file[f"{split}/ids"].asstr()) for split in SPLITS}


def test_without_splits_each_class_is_cut_into_three(tmp_path, capsys):
    source = own_folder(tmp_path / "photos", {"": 10})
    assert run(source) == 0
    info = describe(Path("data/mushrooms.h5"))
    assert (info.name, info.family, info.kind) == ("mushrooms", "mushrooms", "own")
    assert (info.class_names, info.side, info.per_class) == (("bolete", "morel"), 8, (10, 10))
    assert info.images == {"train": 14, "val": 2, "test": 4}
    ids = held()
    for split, count in (("train", 7), ("val", 1), ("test", 2)):
        assert Counter(id.split("/")[0] for id in ids[split]) == {"bolete": count, "morel": count}
    assert "mushrooms" in capsys.readouterr().out
    assert run(source) == 0
    assert describe(Path("data/mushrooms.h5")) == info
    assert run(source, "--seed", 1, "--test-share", "50%", "--val-share", 0.4) == 0
    assert held() != ids
    assert describe(Path("data/mushrooms.h5")).images == {"train": 6, "val": 4, "test": 10}


@pytest.mark.parametrize("val", [None, "val", "valid", "Validation"])
def test_splits_that_are_there_stay_and_val_is_cut_where_it_is_missing(tmp_path, val):
    source = own_folder(tmp_path / "photos", {"train": 5, "test": 2} | ({val: 2} if val else {}))
    assert run(source) == 0
    ids = held()
    assert all(id.startswith("test/") for id in ids["test"])
    assert {id.split("/")[0] for id in ids["val"]} == {val or "train"}
    assert {split: len(found) for split, found in ids.items()} == {
        "train": 10 if val else 8,
        "val": 4 if val else 2,
        "test": 4,
    }
    assert run(source, "--test-share", 0.3) == 2
    assert run(source, "--val-share", 0.3) == (2 if val else 0)


@pytest.mark.parametrize("given", [".", ".."])
def test_classes_and_images_are_those_of_torchvision(tmp_path, given):
    source = own_folder(tmp_path / "unpacked" / "photos", {"": 3}, ("b", "a b", "train"))
    nested = source / "b" / "more" / "x.JPG"
    nested.parent.mkdir()
    Image.new("RGB", (9, 9)).save(nested)
    found = read(source / given)
    theirs = ImageFolder(source)
    assert found.class_names == theirs.classes == ["a b", "b", "train"]
    assert {(str(source / e.id), e.label) for e in found.examples} == {(path, label) for path, label in theirs.samples}
    assert {e.split for e in found.examples} == {"train"}
    assert found.left_out == []


def test_hidden_files_are_passed_over_and_foreign_ones_are_named(tmp_path, capsys):
    source = own_folder(tmp_path / "photos", {"train": 3, "test": 1})
    for name in (
        ".DS_Store",
        "train/.hidden.png",
        "train/morel/._0.png",
        "train/.thumbs/x.png",
        "__MACOSX/morel/0.png",
        "train/morel/@eaDir/0.png/SYNOPHOTO_THUMB_M.png",
    ):
        (source / name).parent.mkdir(exist_ok=True, parents=True)
        (source / name).touch()
    for path in (source / "train" / "morel" / "notes.txt", source / "train" / "all.zip", source / "list.csv"):
        path.touch()
    (source / "test" / "morel" / "all").symlink_to(source / "train" / "morel")
    assert run(source) == 0
    printed = capsys.readouterr().out
    assert f"left out: {source}/train/morel/notes.txt is no image by its name\n" in printed
    assert f"left out: {source}/test/morel/all is a link to a folder\n" in printed
    for name in ("train/all.zip", "list.csv"):
        assert f"left out: {source}/{name} lies in no folder of a class\n" in printed
    assert printed.count("left out") == 4
    assert describe(Path("data/mushrooms.h5")).images == {"train": 4, "val": 2, "test": 2}
    for i in range(30):
        (source / "train" / "morel" / f"{i}.xml").touch()
    assert run(source) == 0
    printed = capsys.readouterr().out
    assert printed.count("left out") == 11
    assert "left out: 24 more files" in printed


def test_oddly_coded_images_are_read_and_a_rotation_is_applied(tmp_path):
    source = own_folder(tmp_path / "photos", {"": 3})
    folder = source / "morel"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture = Image.new("RGB", (40, 20), "red")
    picture.paste("blue", (20, 0, 40, 20))
    picture.save(folder / "turned.png", exif=exif)
    Image.new("CMYK", (9, 9), (0, 255, 255, 0)).save(folder / "cmyk.jpg")
    picture.quantize(4).save(folder / "palette.gif")
    Image.fromarray(np.full((9, 9), 51_400, np.uint16)).save(folder / "grey16.png")
    pixels = {e.id.split("/")[1]: e.read(4) for e in read(source).examples if e.id.startswith("morel/")}
    assert_array_equal(pixels["turned.png"][[0, 0, 3, 3], [0, 3, 0, 3]], [[255, 0, 0]] * 2 + [[0, 0, 255]] * 2)
    assert_array_equal(pixels["palette.gif"][[0, 0], [0, 3]], [[255, 0, 0], [0, 0, 255]])
    assert abs(pixels["cmyk.jpg"].astype(int) - (255, 0, 0)).max() < 4
    assert_array_equal(pixels["grey16.png"], np.full((4, 4, 3), 200))
    sizes = {e.id: e.source() for e in read(source).examples}
    assert sizes["morel/turned.png"] == (20, 40)


def spoil(name, content=b""):
    def write(root):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)

    return write


def truncate(root):
    path = root / "train/morel/0.png"
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (spoil("train/morel/x.png"), "{root}/train/morel/x.png is empty: remove it"),
        (spoil("train/morel/x.png", b"<html>"), "{root}/train/morel/x.png is no image"),
        (truncate, "{root}/train/morel/0.png cannot be read: "),
        (lambda root: (root / "train/morel/x.png").symlink_to("nowhere"), "x.png is no file, or a broken link: remove"),
        (spoil("train/x.png"), "{root}/train/x.png lies in no folder of a class"),
        (spoil("x.png"), "{root}/x.png lies in no folder of a class"),
        (spoil("more/x.png"), "{root}/more lies beside train and test: move it away"),
        (spoil("train/puffball/x.png", b"x"), "class 'puffball' has 1 images: at least 3 are needed"),
        (lambda root: (root / "train/puffball").mkdir(), "class 'puffball' has 0 images: at least 3 are needed"),
        (lambda root: own_folder(root, {"train": 3}, ("puffball",), first=40), "class 'puffball' has no test image"),
        (lambda root: (root / "test").rename(root / "val"), "has train, val and no test: rename val to test"),
        (lambda root: (root / "train").rename(root / "val"), "has test, val and no train"),
        (
            lambda root: own_folder((root / "test").rename(root / "val").parent, {"extra": 3}),
            "{root}/extra lies beside train and val: move it away",
        ),
        (
            lambda root: own_folder(own_folder(root, {"val": 1}, first=40), {"valid": 1}, first=50),
            "more than one folder for val",
        ),
        (spoil("train/morel/\udcff.png", b"x"), "has a name that is not UTF-8: rename it"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line_with_its_path(tmp_path, capsys, change, problem):
    source = own_folder(tmp_path / "photos", {"train": 4, "test": 2})
    change(source)
    assert run(source) == 2
    printed = capsys.readouterr()
    assert problem.format(root=source) in printed.err
    assert printed.err.count("\n") == 1
    assert (printed.out, list(Path().glob("data/*.h5"))) == ("", [])


@pytest.mark.parametrize(
    ("splits", "classes", "problem"),
    [
        ({"": 2}, ("a", "b"), r"class 'a' has 2, 'b' has 2 images: at least 3 are needed"),
        ({"": 5}, ("a",), r"holds a: a classifier needs two classes"),
        ({}, (), r"holds no folder: it needs one folder of images per class"),
    ],
)
def test_too_few_classes_or_images_are_refused_with_the_count(tmp_path, splits, classes, problem):
    (tmp_path / "photos").mkdir()
    with pytest.raises(ValueError, match=problem):
        read(own_folder(tmp_path / "photos", splits, classes))


def test_three_images_of_a_class_are_one_for_each_split(tmp_path):
    assert run(own_folder(tmp_path / "photos", {"": 3})) == 0
    assert describe(Path("data/mushrooms.h5")).images == {"train": 2, "val": 2, "test": 2}


def copy(source, *targets):
    for target in targets:
        target.write_bytes(source.read_bytes())


def test_the_same_bytes_in_two_splits_are_refused_or_dropped_from_train(tmp_path, capsys):
    source = own_folder(tmp_path / "photos", {"train": 5, "test": 2})
    test, train = source / "test" / "morel", source / "train" / "morel"
    copy(test / "0.png", train / "a.png", train / "b.png")
    assert run(source) == 2
    assert capsys.readouterr().err == (
        f"error: {test}/0.png and {train}/a.png are the same image in two splits, and 1 more such files: remove one, or"
        " pass --drop-duplicates\n"
    )
    assert run(source, "--drop-duplicates") == 0
    assert describe(Path("data/mushrooms.h5")).images == {"train": 8, "val": 2, "test": 4}
    assert f"left out: {train}/a.png is the same image as {test}/0.png\n" in capsys.readouterr().out


def test_the_same_bytes_before_splits_are_cut_are_used_once_and_in_two_classes_not_at_all(tmp_path, capsys):
    source = own_folder(tmp_path / "photos", {"": 6})
    morel, bolete = source / "morel", source / "bolete"
    copy(morel / "0.png", morel / "x.png")
    copy(morel / "1.png", morel / "y.png", bolete / "z.png")
    assert run(source) == 0
    assert sorted(id for ids in held().values() for id in ids) == sorted(
        [f"bolete/{i}.png" for i in range(6)] + [f"morel/{i}.png" for i in (0, 2, 3, 4, 5)]
    )
    assert sorted(line for line in capsys.readouterr().out.splitlines() if line.startswith("left")) == [
        f"left out: {bolete}/z.png is the same image as {morel}/1.png, in two classes",
        f"left out: {morel}/1.png is the same image as {bolete}/z.png, in two classes",
        f"left out: {morel}/x.png is the same image as {morel}/0.png",
        f"left out: {morel}/y.png is the same image as {bolete}/z.png, in two classes",
    ]


def test_the_same_bytes_in_two_splits_and_two_classes_are_told_to_be_so(tmp_path, capsys):
    source = own_folder(tmp_path / "photos", {"train": 5, "test": 3})
    copy(source / "test" / "morel" / "0.png", source / "train" / "bolete" / "a.png")
    assert run(source) == 2
    assert "are the same image in two splits and two classes: remove one" in capsys.readouterr().err


@pytest.mark.parametrize(
    "names",
    [("Training", "Testing"), ("seg_train", "seg_test"), ("train", "testing"), ("train", "dev"), ("a", "val2017")],
)
def test_splits_by_other_names_are_no_classes(tmp_path, capsys, names):
    for name in names:
        own_folder(tmp_path / "photos" / name, {"": 3})
    (tmp_path / "photos" / names[1] / "truffle").mkdir()  # a class of one split alone
    assert run(tmp_path / "photos") == 2
    assert "hold folders of the same names, as splits do: call them train, test" in capsys.readouterr().err


def test_classes_whose_folders_share_names_are_classes(tmp_path):
    for value in range(12):
        path = (
            tmp_path / "photos" / ("valley", "beach")[value % 2] / ("summer", "winter")[value // 2 % 2] / f"{value}.png"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), value).save(path)
    assert run(tmp_path / "photos") == 0
    assert describe(Path("data/mushrooms.h5")).classes == 2


def test_a_file_that_is_no_set_is_not_replaced(tmp_path, capsys):
    source = own_folder(tmp_path / "photos", {"": 3})
    for out in (source / "morel" / "0.png", tmp_path / "thesis.txt"):
        out.touch()
        before = out.read_bytes()
        assert run(source, "--out", out) == 2
        assert f"--out: {out} is no prepared set, and would be replaced: name another file" in capsys.readouterr().err
        assert out.read_bytes() == before
        out.write_bytes(before or b"text")
    assert run(source) == run(source) == 0


def test_what_is_left_out_explains_a_class_without_images(tmp_path, capsys):
    source = own_folder(tmp_path / "photos", {"": 3})
    for path in (source / "morel").iterdir():
        path.rename(path.with_suffix(".HEIC"))
    assert run(source) == 2
    told = f"class 'morel' has 0 images (left out: {source}/morel/0.HEIC is no image by its name, and 2 more): at least"
    assert told in capsys.readouterr().err


def test_a_path_with_brackets_is_said_as_it_is(tmp_path, capsys):
    assert run(own_folder(tmp_path / "photos", {"": 3}), "--out", tmp_path / "[bold]x[/b].h5") == 0
    assert f"{tmp_path}/[bold]x[/b].h5, digest " in capsys.readouterr().out


def test_images_that_are_left_after_duplicates_are_counted(tmp_path):
    source = own_folder(tmp_path / "photos", {"": 3})
    copy(source / "morel" / "0.png", source / "morel" / "1.png")
    with pytest.raises(ValueError, match="class 'morel' has 2 images"):
        read(source)


@pytest.mark.parametrize("name", ["mushrooms", "cars-of-mine", "cifar10", "boats50", "M_1.2"])
def test_a_name_of_ones_own(name):
    require_own_name(name)


@pytest.mark.parametrize(
    "name", [*OFFICIAL, "cars50", "mnist10k", "drawn-cars", "drawn-birds50", "all", "a/b", "", "-x"]
)
def test_a_name_that_is_taken_or_no_name_is_refused(tmp_path, name, capsys):
    with pytest.raises(ValueError, match=r"--name is .*: take "):
        require_own_name(name)
    if name and not name.startswith("-"):
        source = own_folder(tmp_path / "photos", {"": 3})
        assert exit_code(data_prep_command, "folder", "--source", source, "--name", name) == 2
        assert capsys.readouterr().err.startswith(f"error: --name is {name!r}")
    assert DatasetName.own(name).kind == "own"


@pytest.mark.parametrize(
    "words",
    [
        ["folder", "--source", "."],
        ["folder", "--name", "x"],
        ["folder", "--source", ".", "--name", "x", "--subset"],
        ["folder", "--source", ".", "--name", "x", "--drawn"],
        ["cars", "--source", ".", "--name", "x"],
        ["cars", "--source", ".", "--drop-duplicates"],
        ["folder", "--source", "nowhere", "--name", "x"],
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_line(words, capsys):
    assert exit_code(data_prep_command, *words) == 2
    assert capsys.readouterr().err.count("\n") == 1
