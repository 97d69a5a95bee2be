import pytest
from numpy.testing import assert_allclose

from data_prep.official.aircraft import examples
from tests.helpers.layouts import CLASSES, aircraft, birds, colour, edit


@pytest.mark.parametrize("given", [".", "..", "../..", "data"])
def test_train_and_val_are_to_train_on_and_the_banner_is_gone(tmp_path, given):
    root = aircraft(tmp_path / "archive" / "fgvc-aircraft-2013b")
    names, read = examples(root / given)
    assert names == list(CLASSES)
    assert sorted((e.id, e.label, e.split) for e in read) == [
        (f"{i:07}", (i - 1) // 4, "test" if i % 4 == 0 else "train") for i in range(1, 13)
    ]
    for example in read:
        assert_allclose(example.read(32).reshape(-1, 3), [colour(int(example.id))] * 32 * 32, atol=6)
        assert example.source() == (48, 64)


@pytest.mark.parametrize("missing", [["trainval"], ["train", "val"], ["train"]])
def test_either_form_of_the_training_list_will_do(tmp_path, missing):
    root = aircraft(tmp_path / "fgvc-aircraft-2013b")
    whole = {(e.id, e.label, e.split) for e in examples(root)[1]}
    for part in missing:
        (root / "data" / f"images_variant_{part}.txt").unlink()
    assert {(e.id, e.label, e.split) for e in examples(root)[1]} == whole


def test_without_the_list_of_variants_they_are_sorted(tmp_path):
    root = aircraft(tmp_path / "fgvc-aircraft-2013b")
    before = {e.id: CLASSES[e.label] for e in examples(root)[1]}
    (root / "data" / "variants.txt").unlink()
    names, read = examples(root)
    assert names == sorted(CLASSES)
    assert {e.id: names[e.label] for e in read} == before


@pytest.mark.parametrize(
    ("file", "row", "new", "problem"),
    [
        ("test", 2, "0000008", "test.txt line 2: '0000008' is not of the form <image> <variant>"),
        ("test", 2, "x8 Ant", "test.txt line 2: 'x8 Ant' is not of the form"),
        ("test", 2, "0000008 747-999", "test.txt line 2: '747-999' is not in .*variants.txt"),
        ("test", 2, "0000001 Ant 1999", "test.txt line 2: image 0000001 is to train on in .*train.txt line 1"),
        ("test", 2, "0000004 Ant 1999", "test.txt line 2: image 0000004 stands already in .*test.txt line 1"),
        ("val", 1, "0000001 Ant 1999", "val.txt line 1: image 0000001 stands already in .*train.txt line 1"),
        ("trainval", 1, "0000001 Bee F-16", "image 0000001 stands otherwise .* in images_variant_trainval.txt"),
        ("trainval", 1, None, "train.txt line 1: image 0000001 stands otherwise or not at all"),
        ("val", 1, None, "trainval.txt line 3: image 0000003 stands otherwise or not at all"),
    ],
)
def test_a_fault_is_refused_with_its_file_and_line(tmp_path, file, row, new, problem):
    root = aircraft(tmp_path / "fgvc-aircraft-2013b")
    edit(root / "data" / f"images_variant_{file}.txt", row, new)
    with pytest.raises(ValueError, match=problem) as refusal:
        examples(root)
    assert str(tmp_path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_without_training_lists_or_in_another_set_it_says_what_it_looked_for(tmp_path):
    root = aircraft(tmp_path / "fgvc-aircraft-2013b")
    (root / "data" / "images_variant_val.txt").unlink()
    (root / "data" / "images_variant_trainval.txt").unlink()
    with pytest.raises(
        ValueError, match=r"data lacks images_variant_train.txt and _val.txt, and images_variant_trainv"
    ):
        examples(root)
    with pytest.raises(ValueError, match=r"no folder of fgvc-aircraft-2013b: looked in it for images_variant_test.txt"):
        examples(birds(tmp_path / "b" / "CUB_200_2011"))
