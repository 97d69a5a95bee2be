import shutil

import numpy as np
import pytest
import scipy.io
from numpy.testing import assert_allclose

from data_prep.official.cars import examples
from tests.helpers.layouts import CLASSES, annotate, car_rows, cars, class_folders, colour, edit, kaggle, one_folder

EXPECTED = sorted(
    (f"cars_{split}/{file}", label - 1, split, number)
    for split in ("train", "test")
    for file, label, number in car_rows(split)
)


def nested(root):
    return cars(root, devkit="car_devkit/devkit", folders="cars_{split}/cars_{split}")


@pytest.mark.parametrize("given", [".", "..", "../.."])
@pytest.mark.parametrize("layout", [cars, nested, kaggle])
def test_every_layout_gives_the_same_set(tmp_path, layout, given):
    root = layout(tmp_path / "archive" / "stanford_cars")
    names, read = examples(root / given)
    assert names == list(CLASSES)
    read = sorted(read, key=lambda example: example.id)
    assert [(e.id, e.label, e.split) for e in read] == [row[:3] for row in EXPECTED]
    for example, row in zip(read, EXPECTED, strict=True):
        assert_allclose(example.read(6).reshape(-1, 3), [colour(row[3])] * 36, atol=4)
        assert example.source() == (48, 64)


def shown(read):
    """Every image by what tells it from the others: the class's number, the split, and its colour."""
    return sorted((e.label, e.split, *np.round(e.read(1)[0, 0] / 60).astype(int).tolist()) for e in read)


@pytest.mark.parametrize("given", [".", "..", "car_data"])
def test_class_folders_need_no_list(tmp_path, given):
    root = class_folders(tmp_path / "archive")
    names, read = examples(root / given)
    assert names == sorted(CLASSES)  # "Ram C/V", which no folder can be called, has its slash again
    in_order = {label: sorted(CLASSES).index(name) for label, name in enumerate(CLASSES)}
    expected = sorted((id, in_order[label], split) for id, label, split, _ in EXPECTED)
    assert sorted((e.id, e.label, e.split) for e in read) == expected
    for example in read:
        number = next(row[3] for row in EXPECTED if row[0] == example.id)
        assert_allclose(example.read(6).reshape(-1, 3), [colour(number)] * 36, atol=4)


def test_images_that_every_class_counts_from_one_keep_apart(tmp_path):
    root = class_folders(tmp_path / "archive")
    for split in ("train", "test"):
        for folder in (path for path in (root / "car_data" / split).iterdir() if path.is_dir()):
            for number, path in enumerate(sorted(folder.iterdir())):
                path.rename(folder / f"{number}.jpg")
    _, read = examples(root)
    assert len({example.id for example in read}) == len(EXPECTED)
    assert "cars_train/Ram C-V 2012/0.jpg" in {example.id for example in read}


@pytest.mark.parametrize("folder", ["car_ims", "car_ims/car_ims"])
@pytest.mark.parametrize("given", [".", ".."])
def test_one_folder_is_dealt_as_its_annotations_say(tmp_path, given, folder):
    root = one_folder(tmp_path / "cars196", folder)
    names, read = examples(root / given)
    assert names == list(CLASSES)
    assert shown(read) == shown(examples(cars(tmp_path / "official" / "stanford_cars"))[1])
    assert read[0].id == "car_ims/000001.jpg"


def test_annotations_of_one_folder_without_it_are_not_taken_for_other_images(tmp_path):
    root = one_folder(tmp_path / "archive")
    (root / "car_ims").rename(root / "cars_train")
    with pytest.raises(ValueError, match=r"car_ims, which is not beside it .* other numbers.*: take car_ims, or"):
        examples(root)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (("car_ims/000001.jpg", 1, 2), "annotation 1: test is .*2.*, not 0 or 1"),
        (("../000001.jpg", 1, 0), "annotation 1: .* no whole number and file name in car_ims/"),
        (("car_ims/../000001.jpg", 1, 0), "annotation 1: .* no whole number and file name in car_ims/"),
        (("car_ims/000001.jpg", 4, 0), "annotation 1: class 4 is not one of 1 to 3"),
    ],
)
def test_a_fault_in_the_annotations_of_one_folder_is_refused(tmp_path, entry, problem):
    root = one_folder(tmp_path / "cars196")
    names = np.array([CLASSES], dtype=object)
    annotate(root / "cars_annos.mat", [entry], ("relative_im_path", "class", "test"), class_names=names)
    with pytest.raises(ValueError, match=rf"cars_annos\.mat {problem}"):
        examples(root)


def test_half_a_set_of_class_folders_is_refused(tmp_path):
    root = class_folders(tmp_path / "archive")
    shutil.rmtree(root / "car_data" / "test")
    with pytest.raises(ValueError, match="has a folder train and no folder test"):
        examples(root)


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
    by_id = {example.id: example for example in examples(root)[1]}
    with pytest.raises(ValueError, match=r"anno_train.csv line 2: .*/train/Bee F-16/00002.jpg is missing"):
        by_id["cars_train/00002.jpg"].source()


def test_a_source_that_is_something_else_is_told_what_was_looked_for(tmp_path):
    with pytest.raises(ValueError, match=r"no folder of stanford_cars: looked in and below it for devkit/cars"):
        examples(tmp_path)
    root = kaggle(tmp_path / "archive")
    shutil.rmtree(root / "car_data")
    (root / "anno_test.csv").unlink()
    with pytest.raises(ValueError, match=r"anno_test.csv is missing"):
        examples(root)
