import csv
import io
from collections import Counter
from pathlib import Path

import h5py
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.data.format import SPLITS, describe
from data_prep import __main__ as data_prep_command
from data_prep.examples import Example
from data_prep.official.subset import select
from tests.helpers.commands import exit_code
from tests.helpers.layouts import CLASSES, aircraft, birds, cars, kaggle, text

LISTS = Path(__file__).parents[3] / "results" / "subsets"
ANT, RAM, BEE = "001.Ant_1999", "002.Ram_C_V_2012", "003.Bee_F-16"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*words):
    return exit_code(data_prep_command, *words)


def listing(*rows):
    text(Path("list.csv"), ["split,image,class", *rows])
    return "list.csv"


def held(path):
    """(split, id, class name) of every image, and the value of its middle pixel."""
    with h5py.File(path) as file:
        names = file["class_names"].asstr()[:]
        return {
            (split, id, names[label]): tuple(image[4, 4].tolist())
            for split in SPLITS
            for id, label, image in zip(
                file[f"{split}/ids"].asstr()[:], file[f"{split}/labels"], file[f"{split}/images"], strict=True
            )
        }


@pytest.mark.parametrize(("family", "layout"), [("aircraft", aircraft), ("birds", birds), ("cars", cars)])
def test_the_list_of_a_prepared_file_makes_that_file_again(tmp_path, family, layout):
    source = layout(tmp_path / "source")
    assert run(family, "--source", source, "--subset", "--side", 8, "--seed", 3) == 0
    before = describe(Path(f"data/{family}3.h5"))
    rows = listing(*(",".join(row) for row in held(f"data/{family}3.h5")))
    assert run(family, "--source", source, "--subset", "--only", rows, "--side", 8, "--out", "again.h5") == 0
    assert describe(Path("again.h5")) == before


@pytest.mark.parametrize("layout", [cars, kaggle])
def test_listed_images_go_into_the_listed_split_and_nothing_else_is_opened(tmp_path, layout):
    source = layout(tmp_path / "source")
    rows = {
        ("train", "cars_train/00003.jpg", CLASSES[2]),
        ("val", "cars_train/00009.jpg", CLASSES[2]),
        ("test", "cars_train/00006.jpg", CLASSES[2]),
        ("test", "cars_train/00001.jpg", CLASSES[0]),
        ("train", "cars_test/00001.jpg", CLASSES[0]),
    }
    for path in source.rglob("0000[24578].jpg"):
        path.unlink()
    assert run("cars", "--source", source, "--subset", "--side", 8) == 2
    listed = listing(*(",".join(row) for row in rows))
    assert run("cars", "--source", source, "--subset", "--only", listed, "--side", 8) == 0
    assert describe(Path("data/cars2.h5")).name == "cars2"
    assert describe(Path("data/cars2.h5")).class_names == (CLASSES[0], CLASSES[2])
    stored = held("data/cars2.h5")
    assert stored.keys() == rows
    colours = [stored[row] for row in sorted(rows, key=lambda row: row[1])]  # test 1, then train 1, 3, 6 and 9
    for got, number in zip(colours, (31, 1, 3, 6, 9), strict=True):
        assert got == pytest.approx((60 * (number % 4), 60 * (number // 4 % 4), 60 * (number // 16)), abs=4)


def test_a_class_without_images_named_brings_those_of_its_official_split_and_val_is_cut(tmp_path):
    source = aircraft(tmp_path / "source")
    listed = listing(*(f"{split},,{name}" for name in CLASSES[1:] for split in ("test", "train")))
    assert run("aircraft", "--source", source, "--subset", "--only", listed, "--side", 8, "--val-share", 0.67) == 0
    counts = Counter((split, name) for split, _, name in held("data/aircraft2.h5"))
    assert counts == {(s, name): n for name in CLASSES[1:] for s, n in (("train", 1), ("val", 2), ("test", 1))}
    assert {id for split, id, _ in held("data/aircraft2.h5") if split == "test"} == {"0000008", "0000012"}


sets = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["train", "test"])), min_size=1, max_size=30).map(
    lambda rows: [Example(f"im {i}", label, split, read=lambda side: None) for i, (label, split) in enumerate(rows)]
)


@given(sets, st.data())
def test_what_is_listed_is_taken_and_labelled_by_the_classes_that_are_left(tmp_path_factory, examples, data):
    names = [f"class {k}" for k in range(5)]
    chosen = data.draw(st.permutations(examples))[: data.draw(st.integers(1, len(examples)))]
    rows = {(data.draw(st.sampled_from(SPLITS)), e.id, names[e.label]) for e in chosen}
    path = tmp_path_factory.mktemp("lists") / "list.csv"
    written = io.StringIO()
    csv.writer(written).writerows([("split", "image", "class"), *rows])
    path.write_text(written.getvalue(), newline="")
    kept, selected = select(path, names, examples)
    assert {(e.split, e.id, kept[e.label]) for e in selected} == rows
    assert len(selected) == len(rows)
    assert kept == [name for name in names if name in {row[2] for row in rows}]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["split,image"], "line 1: 'split,image' is not of the form split,image,class"),
        (["split,class,image"], "line 1: the columns are called split,class,image, not split,image,class"),
        ([f"train,1,{ANT}"], f"line 1: the columns are called train,1,{ANT}, not split,image,class"),
        (["split,image,class"], " lists no image"),
        ([], " is empty"),
        (["split,image,class", f"train,1,{ANT}", "train,2"], "line 3: 'train,2' is not of the form split,image,class"),
        (["split,image,class", "train,1,"], "line 2: 'train,1,' is not of the form split,image,class"),
        (["split,image,class", f"train,1,{ANT},x"], f"line 2: 'train,1,{ANT},x' is not of the form split,image,class"),
        (["split,image,class", f"Train,1,{ANT}"], "line 2: 'Train' is no split: take one of train, val, test"),
        (["split,image,class", "train,1,Ant"], "line 2: the set has no class 'Ant'"),
        (["split,image,class", f"train,13,{ANT}"], "line 2: the set has no image 13"),
        (["split,image,class", f"train,01,{ANT}"], "line 2: the set has no image 01"),
        (["split,image,class", "", f"train,1,{RAM}"], f"line 3: image 1 is of class '{ANT}', not '{RAM}'"),
        (
            ["split,image,class", f"train,1,{ANT}", f"test,1,{ANT}"],
            "line 3: image 1 stands already in list.csv line 2",
        ),
        (["split,image,class", f"test,1,{ANT}", f"train,,{ANT}"], "line 3: image 1 stands already in list.csv line 2"),
        (["split,image,class", f"train,,{ANT}", f"train,,{ANT}"], "line 3: image 1 stands already in list.csv line 2"),
        (["split,image,class", f"val,,{ANT}"], f"line 2: class '{ANT}' has no official val image"),
    ],
)
def test_a_bad_list_is_refused_in_one_line_with_its_file_and_row(tmp_path, capsys, rows, problem):
    text(Path("list.csv"), rows)
    assert run("birds", "--source", birds(tmp_path / "source"), "--subset", "--only", "list.csv", "--side", 8) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: list.csv")
    assert printed.err.endswith(f"{problem}\n")
    assert printed.err.count("\n") == 1
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("words", "rows", "problem"),
    [
        (
            ["--val-share", 0.2],
            [f"{s},{i},{ANT}" for i, s in ((1, "train"), (2, "val"), (4, "test"))],
            "leave out --val",
        ),
        ([], [f"train,,{ANT}", f"test,,{ANT}", f"train,,{BEE}"], f"class '{BEE}' has no test image"),
        ([], [f"train,1,{ANT}", f"test,,{ANT}"], "there is no val image"),
    ],
)
def test_a_list_that_makes_no_sound_set_is_refused(tmp_path, capsys, words, rows, problem):
    source = birds(tmp_path / "source")
    assert run("birds", "--source", source, "--subset", "--only", listing(*rows), "--side", 8, *words) == 2
    printed = capsys.readouterr().err
    assert problem in printed
    assert printed.count("\n") == 1
    assert not Path("data").exists()


def test_a_list_takes_from_the_complete_set_unless_told_that_it_is_a_part(tmp_path, capsys):
    listed = listing(f"train,,{ANT}", f"test,,{ANT}")
    assert run("birds", "--source", birds(tmp_path / "source"), "--only", listed, "--side", 8) == 2
    assert "lists 3 classes, 9 training and 3 test images, the official set has" in capsys.readouterr().err
    assert run("birds", "--source", tmp_path / "source", "--only", "nowhere.csv", "--subset", "--side", 8) == 2
    assert capsys.readouterr().err == "error: nowhere.csv is missing\n"
    assert run("birds", "--drawn", "--only", listed) == 2
    assert "for a --source, not for a synthetic set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("label", "counts"),
    [
        ("birds50", {"train": 1_350, "val": 150, "test": 1_389}),
        ("cars50", {"train": 1_201, "val": 137, "test": 718}),
        ("aircraft20", {"train": 20, "test": 20}),
    ],
)
def test_the_lists_of_the_results_hold_what_their_page_says(label, counts):
    with (LISTS / f"{label}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["split"] for row in rows) == counts
    assert len({row["class"] for row in rows}) == int(label[-2:])
    if label == "aircraft20":
        assert {row["image"] for row in rows} == {""}
    else:
        assert len({row["image"] for row in rows}) == len(rows)
