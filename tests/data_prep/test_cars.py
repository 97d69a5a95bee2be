import shutil

import numpy as np
import pytest
import scipy.io
from numpy.testing import assert_allclose

from data_prep.cars import examples
from tests.data_prep.layouts import CLASSES, annotate, car_rows, cars, colour, edit, kaggle

EXPECTED = sorted(
    (f"cars_{split}/{file}", label - 1, split, number)
    for split in ("train", "test")
    for file, label, number in car_rows(split)
)


def nested(root):
    return cars(root, devkit="car_devkit/devkit", folders="cars_{split}/cars_{split}")


@pytest.mark.parametrize("given", [".", ".."])
@pytest.mark.parametrize("layout", [cars, nested, kaggle])
def test_every_layout_gives_the_same_set(tmp_path, layout, given):
    root = layout(tmp_path / "stanford_cars")
    names, found = examples(root / given)
    assert names == list(CLASSES)
    found = sorted(found, key=lambda example: example.id)
    assert [(e.id, e.label, e.split) for e in found] == [row[:3] for row in EXPECTED]
    for example, row in zip(found, EXPECTED, strict=True):
        assert_allclose(example.read(6).reshape(-1, 3), [colour(row[3])] * 36, atol=4)
        assert example.source() == (48, 64)


@pytest.mark.parametrize("name", ["cars_test_annos_withlabels.mat", "cars_test_annos_withlabels (1).mat"])
@pytest.mark.parametrize("folder", [".", "devkit"])
def test_the_test_labels_lie_at_the_top_or_in_the_devkit(tmp_path, folder, name):
    root = cars(tmp_path / "stanford_cars")
    (root / "cars_test_annos_withlabels.mat").rename(root / folder / name)
    assert len(examples(root)[1]) == len(EXPECTED)


def test_classes_that_matlab_wrote_as_doubles_are_whole_numbers(tmp_path):
    root = cars(tmp_path / "stanford_cars")
    whole = [(example.id, example.label) for example in examples(root)[1]]
    rows = [(float(label), file) for file, label, _ in car_rows("train")]
    annotate(root / "devkit" / "cars_train_annos.mat", rows)
    assert [(example.id, example.label) for example in examples(root)[1]] == whole


def test_without_test_labels_it_says_where_to_get_them_and_where_to_put_them(tmp_path):
    root = cars(tmp_path / "stanford_cars")
    path = root / "cars_test_annos_withlabels.mat"
    path.unlink()
    with pytest.raises(ValueError, match=rf"^{path} is missing: .*take the file from https://.* and put it there$"):
        examples(root)
    annotate(path, [(file,) for file, *_ in car_rows("test")], fields=("fname",))
    with pytest.raises(ValueError, match=r"withlabels.mat: its annotations lack class"):
        examples(root)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([("00001.jpg", 1), ("00002.jpg", 4)], "annotation 2: class 4 is not one of 1 to 3"),
        ([("00001.jpg", 0)], "annotation 1: class 0 is not one of 1 to 3"),
        ([("00001.jpg", 1), ("00001.jpg", 2)], "annotation 2: cars_train/00001.jpg is listed before"),
        ([("00001.jpg", 1.5)], "annotation 1: class 1.5, file '00001.jpg' are no whole number and plain file name"),
        ([("00001.jpg", float("nan"))], "annotation 1: class nan, file '00001.jpg' are no whole number and plain file"),
        ([("00001.jpg", float("inf"))], "annotation 1: class inf, file '00001.jpg' are no whole number and plain file"),
        ([("00001.jpg", 4.0)], "annotation 1: class 4 is not one of 1 to 3"),
        ([("../00001.jpg", 1)], "annotation 1: .* no whole number and plain file name"),
        ([(7, 1)], "annotation 1: .* no whole number and plain file name"),
    ],
)
def test_a_fault_in_a_devkit_is_refused_with_its_file_and_annotation(tmp_path, rows, problem):
    root = cars(tmp_path / "stanford_cars")
    annotate(root / "devkit" / "cars_train_annos.mat", [(label, file) for file, label in rows])
    with pytest.raises(ValueError, match=f"cars_train_annos.mat {problem}") as refusal:
        examples(root)
    assert "\n" not in str(refusal.value)


def test_a_devkit_file_that_is_damaged_missing_or_another_is_named(tmp_path):
    root = cars(tmp_path / "stanford_cars")
    path = root / "devkit" / "cars_train_annos.mat"
    whole = path.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"no matlab file, but long enough to be one" * 9, whole[:140]):
        path.write_bytes(damage)
        with pytest.raises(ValueError, match=r"cars_train_annos.mat (is no MATLAB file|has no variable)"):
            examples(root)
    scipy.io.savemat(path, {"other": np.zeros(3)})
    with pytest.raises(ValueError, match=r"cars_train_annos.mat has no variable annotations"):
        examples(root)
    scipy.io.savemat(path, {"annotations": np.zeros(3)})
    with pytest.raises(ValueError, match=r"cars_train_annos.mat: its annotations lack class and fname"):
        examples(root)
    path.unlink()
    with pytest.raises(ValueError, match=r"cars_train_annos.mat is missing"):
        examples(root)


@pytest.mark.parametrize(
    ("file", "row", "new", "problem"),
    [
        ("anno_train.csv", 2, "00002.jpg,1,1,20,20,4", "line 2: class 4 is not one of 1 to 3"),
        ("anno_train.csv", 2, "00002.jpg,1,1,20,20,0", "line 2: class 0 is not one of 1 to 3"),
        ("anno_train.csv", 2, "00002.jpg,2", "line 2: '00002.jpg,2' is not of the form <file>,<x1>"),
        ("anno_train.csv", 2, "../x.jpg,1,1,20,20,2", "line 2: '../x.jpg,1,1,20,20,2' is not of the form"),
        ("anno_test.csv", 2, "00001.jpg,1,1,20,20,1", "line 2: cars_test/00001.jpg is listed before"),
        ("names.csv", 3, None, "class 3 is not one of 1 to 2"),
    ],
)
def test_a_fault_in_kaggles_lists_is_refused_with_its_file_and_line(tmp_path, file, row, new, problem):
    root = kaggle(tmp_path / "archive")
    edit(root / file, row, new)
    with pytest.raises(ValueError, match=problem):
        examples(root)


def test_a_label_that_is_not_the_folder_of_its_image_shows(tmp_path):
    root = kaggle(tmp_path / "archive")
    edit(root / "anno_train.csv", 2, "00002.jpg,1,1,20,20,3")
    found = {example.id: example for example in examples(root)[1]}
    with pytest.raises(ValueError, match=r"anno_train.csv line 2: .*/train/Bee F-16/00002.jpg is missing"):
        found["cars_train/00002.jpg"].source()


def test_a_source_that_is_something_else_is_told_what_was_looked_for(tmp_path):
    with pytest.raises(ValueError, match=r"no folder of stanford_cars: looked in it for devkit/cars_meta.mat, .*names"):
        examples(tmp_path)
    root = kaggle(tmp_path / "archive")
    shutil.rmtree(root / "car_data")
    (root / "anno_test.csv").unlink()
    with pytest.raises(ValueError, match=r"anno_test.csv is missing"):
        examples(root)
