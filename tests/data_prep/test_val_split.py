import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.examples import Example, check, cut


def example(id: str, label: int, split: str) -> Example:
    return Example(id, label, split, read=lambda side: None)


def chosen(examples: list[Example], split: str) -> list[Example]:
    return [e for e in examples if e.split == split]


sets = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 10)), min_size=1, max_size=5).map(
    lambda classes: [
        example(f"{split}/{label}.{i}", label, split)
        for label, counts in enumerate(classes)
        for split, count in zip(("train", "test"), counts, strict=True)
        for i in range(count)
    ]
)
shares = st.floats(0.01, 0.99)


@given(sets, shares, st.integers(0, 9), st.randoms(use_true_random=False))
def test_the_cut_does_not_depend_on_the_order_of_the_lists(examples, share, seed, rng):
    assert cut(rng.sample(examples, len(examples)), "val", share, seed) == cut(examples, "val", share, seed)


@given(sets, shares, st.integers(0, 9))
def test_every_class_gives_its_share_and_keeps_an_image(examples, share, seed):
    after = cut(examples, "val", share, seed)
    assert sorted(e.id for e in after) == sorted(e.id for e in examples)
    assert {e.id: e.label for e in after} == {e.id: e.label for e in examples}
    assert {e.id for e in chosen(after, "test")} == {e.id for e in chosen(examples, "test")}
    before, kept = (Counter(e.label for e in chosen(es, "train")) for es in (examples, after))
    moved = Counter(e.label for e in chosen(after, "val"))
    for label, count in before.items():
        assert kept[label] >= 1
        assert kept[label] + moved[label] == count
        if count > 1:
            assert moved[label] >= 1
            assert abs(moved[label] - min(max(share * count, 1), count - 1)) <= 0.5


@given(sets, shares, st.integers(0, 9))
def test_a_larger_share_takes_the_same_images_and_more(examples, share, seed):
    smaller, larger = ({e.id for e in chosen(cut(examples, "val", s, seed), "val")} for s in (share / 2, share))
    assert smaller <= larger


def test_seeds_choose_differently_and_about_evenly():
    examples = [example(str(i), 0, "train") for i in range(20)]
    times = Counter(e.id for seed in range(500) for e in chosen(cut(examples, "val", 0.25, seed), "val"))
    # 500 draws with p = 1/4: mean 125, standard deviation 9.7
    assert sum(times.values()) == 2500
    assert all(85 < times[e.id] < 165 for e in examples)


def test_the_choice_is_the_same_on_every_machine():
    examples = [example(str(i), i % 2, "train") for i in range(20)]
    assert [e.id for e in chosen(cut(examples, "val", 0.3, seed=0), "val")] == ["10", "11", "13", "16", "4", "9"]


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_a_share_that_leaves_nothing_is_refused(share):
    with pytest.raises(ValueError, match=r"--val-share is .* more than 0 and less than 1"):
        cut([example("a", 0, "train")], "val", share, 0)


SOUND = [example(f"{split}{label}", label, split) for split in ("train", "val", "test") for label in (0, 1)]


@pytest.mark.parametrize(
    ("names", "examples", "problem"),
    [
        (["a", "a"], SOUND, "two classes are called 'a'"),
        (["a"], SOUND, "image train1 has label 1, outside 0 to 0"),
        (["a", "b"], [*SOUND, example("x", -1, "train")], "image x has label -1"),
        (["a", "b"], [*SOUND, example("val0", 0, "test")], "two images are called val0"),
        (["a", "b", "c"], SOUND, "class 'c' has no train image"),
        (["a", "b"], [e for e in SOUND if e.id != "test1"], "class 'b' has no test image"),
    ],
)
def test_a_set_that_is_not_sound_is_refused(names, examples, problem):
    check(["a", "b"], random.Random(0).sample(SOUND, len(SOUND)))
    with pytest.raises(ValueError, match=problem):
        check(names, examples)
