"""The drawings: nothing clipped or on top of another, the same file again, and examples that are right."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.signal import correlate2d

from bcnn_prune.records import Augmentation
from bcnn_prune.spec import ModelSpec
from tests.helpers.figure_layout import problems, texts
from thesis_figures import style
from thesis_figures.figures.samples import SAMPLES, described
from thesis_figures.schematics import SCHEMATICS, convolution, method, relative_index
from thesis_figures.schematics.shapes import box, canvas, label

RESULTS = Path(__file__).parents[2] / "results" / "samples"
FIGURES: dict[str, Callable[[], Figure]] = {
    **SCHEMATICS,
    **{name: partial(draw, RESULTS) for name, draw in SAMPLES.items()},
    "method": method.draw,
}


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_small_clipped_or_on_another(name: str) -> None:
    figure = FIGURES[name]()
    assert texts(figure)
    assert problems(figure) == []
    assert figure.get_figwidth() == style.WIDE


def test_a_bad_layout_is_told() -> None:
    figure, ax = canvas(40)
    box(ax, 20, 5, 12, 8, "wider than twelve")
    label(ax, 100, 20, "one")
    label(ax, 101, 21, "other")
    label(ax, 182, 30, "beyond")
    label(ax, 150, 30, "tiny", size=4)
    assert sorted(problems(figure)) == [
        "'beyond' is clipped",
        "'one' is on 'other'",
        "'tiny' is too small",
        "'wider than twelve' is wider than its box",
    ]


@pytest.mark.parametrize("name", ["figure-1.3-pruning", "figure-3.4-activations", "figure-3.1-augmentation"])
def test_a_figure_is_the_same_two_files_again(name: str, tmp_path: Path) -> None:
    written = []
    for folder in ("first", "second"):
        style.write_both(FIGURES[name](), tmp_path / folder / name)
        written.append({path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()})
    assert written[0] == written[1]
    assert written[0][f"{name}.png"].startswith(b"\x89PNG")
    assert written[0][f"{name}.pdf"].startswith(b"%PDF")
    assert b"CreationDate" not in written[0][f"{name}.pdf"]


def test_a_png_goes_to_the_very_path(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".gamma.png.part"
    style.write(SCHEMATICS["figure-3.4-activations"](), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(path.parent.iterdir()) == [path]


sparse_arrays = st.lists(st.one_of(st.just(0.0), st.just(0.0), st.just(0.0), st.floats(0.5, 9)), max_size=60)


@given(sparse_arrays, st.integers(1, 5))
def test_relative_indices_give_the_array_back(values: list[float], bits: int) -> None:
    entries = relative_index.encode(np.array(values), bits)
    np.testing.assert_array_equal(relative_index.decode(entries, len(values)), values)
    assert all(1 <= entry.gap <= 2**bits for entry in entries)


@given(sparse_arrays, st.integers(1, 5))
def test_fillers_stand_only_where_a_gap_is_too_long(values: list[float], bits: int) -> None:
    entries = relative_index.encode(np.array(values), bits)
    gaps = np.diff(np.flatnonzero(values), prepend=-1)
    assert sum(entry.value == 0 for entry in entries) == sum((gaps - 1) // 2**bits)
    assert all(entry.gap == 2**bits for entry in entries if entry.value == 0)


def test_the_drawn_array_needs_a_filler() -> None:
    entries = relative_index.encode(relative_index.WEIGHTS.flatten(), relative_index.BITS)
    assert [(entry.gap, entry.value) for entry in entries] == [(3, 1.7), (1, -0.4), (8, 0), (2, 0.9), (2, -2.1)]


@given(st.lists(st.integers(-9, 9), min_size=25, max_size=25))
def test_the_worked_convolution_is_scipys(numbers: list[int]) -> None:
    image = np.array(numbers[:16]).reshape(4, 4)
    kernel = np.array(numbers[16:]).reshape(3, 3)
    np.testing.assert_array_equal(convolution.convolved(image, kernel), correlate2d(image, kernel, mode="same"))


def test_the_pool_takes_the_largest_of_four() -> None:
    image = np.array([[1, 2, 5, 0], [4, 3, -1, 6], [-1, -2, 7, 7], [-4, -3, 8, 0]])
    np.testing.assert_array_equal(convolution.pooled(image), [[4, 6], [-1, 8]])


def test_the_vgg_drawn_is_that_of_the_library() -> None:
    labels = {text.get_text() for text in texts(SCHEMATICS["figure-3.5-vgg16"]())}
    assert labels >= set(ModelSpec.of("vgg16", classes=100).layers)
    assert labels >= {"64 channels\n224 × 224", "256 channels\n56 × 56", "512 channels\n14 × 14"}


def test_shapes_and_shares_are_those_of_the_thesis() -> None:
    labels = " ".join(text.get_text() for name in FIGURES for text in texts(FIGURES[name]()))
    for number in ("512 × 14 × 14", "512 × 196", "262,144", "4,224 scales", "64–78 % of all parameters"):
        assert number in labels
    for gone, part in ((20, 20), (40, 25), (60, 33), (80, 50)):
        assert f"cut {part} % of what is left, retrain;\n{gone} % of all are gone" in labels


def test_amounts_of_augmentation_are_told_in_words() -> None:
    assert described(Augmentation(rotation=15)) == "rotation ±15°, half of them mirrored"
    assert described(Augmentation(shift=0.1, colour=0.3, flip=False)) == "shift ±10 %, colour ±30 %"
    assert described(Augmentation(flip=False)) == "nothing changed"
