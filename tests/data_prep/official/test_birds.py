import shutil

import pytest
from numpy.testing import assert_allclose

from data_prep.official.birds import examples
from tests.helpers.layouts import birds, colour, edit


@pytest.mark.parametrize("given", [".", "..", "../.."])
def test_the_lists_are_read_as_they_say(tmp_path, given):
    root = birds(tmp_path / "archive" / "CUB_200_2011")
    names, read = examples(root / given)
    assert names == ["001.Ant_1999", "002.Ram_C_V_2012", "003.Bee_F-16"]
    assert [(e.id, e.label, e.split) for e in read] == [
        (str(i), (i - 1) // 4, "test" if i % 4 == 0 else "train") for i in range(1, 13)
    ]
    for example in read:
        assert_allclose(example.read(6).reshape(-1, 3), [colour(int(example.id))] * 36, atol=4)
        assert example.source() == (48, 64)


def test_images_are_not_opened_before_they_are_read(tmp_path):
    root = birds(tmp_path / "CUB_200_2011")
    shutil.rmtree(root / "images")
    _, read = examples(root)
    with pytest.raises(ValueError, match=r"images.txt line 5: .*Bird_95.jpg is missing"):
        read[4].read(4)


@pytest.mark.parametrize(
    ("file", "row", "new", "problem"),
    [
        ("classes.txt", 2, "003.Bee", r"classes.txt line 2: '003.Bee' is not of the form <class> <name>"),
        ("classes.txt", 2, "4 002.Ram_C_V_2012", "classes.txt line 2: class 4 stands where 2 should"),
        ("classes.txt", 3, None, "image_class_labels.txt line 9: class 3 is not one of 1 to 2"),
        ("image_class_labels.txt", 5, "5 0", "image_class_labels.txt line 5: class 0 is not one of 1 to 3"),
        ("image_class_labels.txt", 5, "5 1", "images.txt line 5: .* is not in the folder of its class, 001.Ant_1999"),
        ("image_class_labels.txt", 5, "5 two", "image_class_labels.txt line 5: '5 two' is not of the form"),
        ("image_class_labels.txt", 5, "6 2", "image_class_labels.txt line 6: image 6 stands already in .* line 5"),
        ("image_class_labels.txt", 12, None, r"class_labels.txt lacks image 12, .*\(12 images in images.txt, 11 in"),
        ("image_class_labels.txt", 12, "12 3\n13 3", "images.txt lacks image 13, which image_class_labels.txt lists"),
        ("train_test_split.txt", 3, "3 10", "train_test_split.txt line 3: '3 10' is not of the form"),
        ("train_test_split.txt", 3, "3 2", "train_test_split.txt line 3: '3 2' is not of the form"),
        ("train_test_split.txt", 3, "3 1\n3 0", "train_test_split.txt line 4: image 3 stands already"),
        ("train_test_split.txt", 3, None, "train_test_split.txt lacks image 3"),
        ("images.txt", 3, None, "images.txt lacks image 3"),
        ("images.txt", 3, "3", "images.txt line 3: '3' is not of the form"),
        ("images.txt", 3, "3 001.Ant_1999/Bird_99.jpg", "images.txt line 3: .* stands already in .*images.txt line 1"),
        ("images.txt", 3, "3 /etc/passwd", "images.txt line 3: /etc/passwd is not in the folder of its class"),
        ("images.txt", 3, "3 001.Ant_1999/../../secret.jpg", "is not in the folder of its class"),
        ("images.txt", 3, "\udcff", "images.txt is not text"),
    ],
)
def test_a_fault_is_refused_with_its_file_and_line(tmp_path, file, row, new, problem):
    root = birds(tmp_path / "CUB_200_2011")
    if new == "\udcff":
        (root / file).write_bytes(b"\xff\xfe")
    else:
        edit(root / file, row, new)
    with pytest.raises(ValueError, match=problem) as refusal:
        examples(root)
    assert str(tmp_path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("file", ["classes.txt", "images.txt", "image_class_labels.txt"])
def test_a_list_that_is_missing_or_empty_is_named(tmp_path, file):
    root = birds(tmp_path / "CUB_200_2011")
    (root / file).write_text("\n \n")
    with pytest.raises(ValueError, match=f"{file} is empty"):
        examples(root)
    (root / file).unlink()
    with pytest.raises(ValueError, match=f"{file} is missing"):
        examples(root)


def test_blank_lines_windows_line_ends_and_a_byte_order_mark_do_no_harm(tmp_path):
    root = birds(tmp_path / "CUB_200_2011")
    before = examples(root)[0]
    rows = (root / "classes.txt").read_text()
    (root / "classes.txt").write_bytes(b"\xef\xbb\xbf\r\n" + rows.replace("\n", "\r\n\r\n").encode())
    assert examples(root)[0] == before


def test_a_source_that_is_something_else_is_told_what_was_looked_for(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere does not exist"):
        examples(tmp_path / "nowhere")
    (tmp_path / "CUB_200_2011.tgz").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"tgz is a file: unpack it"):
        examples(tmp_path / "CUB_200_2011.tgz")
    with pytest.raises(ValueError, match=r"no folder of CUB_200_2011: looked in it for train_test_split.txt, \*/train"):
        examples(tmp_path)
    first, second = birds(tmp_path / "one"), birds(tmp_path / "other")
    with pytest.raises(
        ValueError, match=rf"more than once: {first}/train_test_split.txt, {second}/train_test_split.txt"
    ):
        examples(tmp_path)
