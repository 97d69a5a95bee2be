"""Synthetic sets: reproducible, balanced, coded in parts, and not given away by colour."""

import hashlib
import multiprocessing
import pickle
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from data_prep.examples import Example, check
from data_prep.synthetic.code import DISTANCE, code_words
from data_prep.synthetic.families import FAMILIES, IMAGES, examples

SIDE = 24

each_family = pytest.mark.parametrize("family", FAMILIES)


def sample(family: str, seed: int = 3) -> list[Example]:
    """Every 17th of the small set's examples: all splits and classes are met."""
    return examples(family, 20, seed)[1][::17]


def digests(listed: list[Example]) -> list[str]:
    return [hashlib.sha256(example.read(SIDE).tobytes()).hexdigest() for example in listed]


@each_family
def test_an_image_is_the_same_in_every_process(family):
    listed = sample(family)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(digests, (listed,)) == digests(listed) == digests(listed[::-1])[::-1]


@each_family
def test_no_two_images_are_the_same_in_one_set_or_under_two_seeds(family):
    drawn = digests(sample(family, seed=3)) + digests(sample(family, seed=4))
    assert len(set(drawn)) == len(drawn)


@each_family
def test_splits_share_no_image(family):
    """The first image of every class and split, which differ in one number of their seed."""
    first = [example for example in examples(family, 20, 0)[1] if example.id.endswith("/000")]
    assert len(first) == 60
    assert len(set(digests(first))) == 60


@pytest.mark.parametrize("classes", [20, 50])
@each_family
def test_any_two_classes_differ_in_three_parts(family, classes):
    words = code_words(FAMILIES[family].parts, classes)
    assert len(words) == classes
    for first, second in combinations(words, 2):
        assert sum(first[part] != second[part] for part in first) >= DISTANCE == 3


@each_family
def test_every_kind_of_every_part_is_met_among_twenty_classes(family):
    words = code_words(FAMILIES[family].parts, 20)
    for part, kinds in FAMILIES[family].parts.items():
        assert {word[part] for word in words} == set(kinds)


@pytest.mark.parametrize("classes", [20, 50])
@each_family
def test_classes_are_named_and_splits_are_balanced(family, classes):
    names, listed = examples(family, classes, seed=0)
    check(names, listed)
    assert len(names) == classes
    assert Counter((example.split, example.label) for example in listed) == {
        (split, label): count for split, count in IMAGES.items() for label in range(classes)
    }


@each_family
def test_the_small_set_is_the_beginning_of_the_large_one(family):
    small, large = ({example.id: example for example in examples(family, classes, seed=0)[1]} for classes in (20, 50))
    for id in list(small)[::97]:
        np.testing.assert_array_equal(small[id].read(SIDE), large[id].read(SIDE))


@pytest.mark.parametrize("side", [16, 64, 97])
@each_family
def test_images_have_the_side_asked_for(family, side):
    image = pickle.loads(pickle.dumps(sample(family)[0])).read(side)
    assert image.shape == (side, side, 3)
    assert image.dtype == np.uint8
    assert image.std(axis=(0, 1)).min() > 5


@each_family
def test_a_larger_side_shows_the_same_scene(family):
    small, large = (sample(family)[1].read(side).astype(float) for side in (32, 128))
    shrunk = large.reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
    assert abs(shrunk - small).mean() < 8


@each_family
def test_an_average_colour_does_not_give_the_class_away(family):
    """The nearest class mean of red, green and blue in the middle is right about once in twenty."""
    listed = examples(family, 20, seed=0)[1]
    train, test = (
        np.array([example.read(16)[5:11, 5:11].mean(axis=(0, 1)) for example in listed[::5] if example.split == split])
        for split in ("train", "test")
    )
    nearest = np.linalg.norm(test[:, None] - train.reshape(20, -1, 3).mean(axis=1), axis=2).argmin(axis=1)
    assert np.mean(nearest == np.repeat(np.arange(20), len(test) // 20)) < 0.16


@pytest.mark.parametrize("classes", [0, 1, 10_000])
@each_family
def test_a_number_of_classes_that_parts_cannot_tell_apart_is_refused(family, classes):
    with pytest.raises(ValueError, match=rf"{classes} classes cannot be rendered: take --classes 2 to \d+"):
        examples(family, classes, seed=0)


def test_an_unknown_family_is_refused():
    with pytest.raises(ValueError, match="no synthetic family is called boats: take one of cars, aircraft, birds"):
        examples("boats", 20, seed=0)
