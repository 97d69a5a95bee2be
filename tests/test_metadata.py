"""Metadata of a model file: unchanged through text, and nothing else accepted."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.metadata import ModelCard, from_text, to_text
from tests.helpers.strategies import TINY

ABOUT = ModelCard(TINY, ("a", "b", "c"), "drawn-cars3", side=16)


@given(
    st.tuples(st.text(), st.text(), st.text()),
    st.text(),
    st.integers(1, 999),
    st.tuples(*[st.floats(0, 1)] * 3),
    st.sampled_from([TINY, replace(TINY, head="average", batch_norm=False)]),
)
def test_a_description_comes_back(names, dataset, side, mean, spec) -> None:  # type: ignore[no-untyped-def]
    about = ModelCard(spec, names, dataset, side, mean)
    text = to_text(about)
    assert from_text(text) == about
    assert text.isascii()
    assert text.isprintable()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        (to_text(ABOUT)[:-1], "damaged"),
        (to_text(ABOUT).replace('"version": 1', '"version": 2'), "has version 2, this program reads version 1"),
        (to_text(ABOUT).replace('"side": 16', '"side": "much"'), "damaged: invalid value"),
        (to_text(ABOUT).replace('"side": 16', '"side": 16, "more": 1'), "damaged: extra fields"),
        (to_text(ABOUT).replace('"a", ', ""), "damaged"),
    ],
)
def test_another_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_text(text)


def test_a_description_that_fits_no_network_or_image_is_refused() -> None:
    with pytest.raises(ValueError, match="2 class names for a network of 3 classes"):
        replace(ABOUT, class_names=("a", "b"))
    with pytest.raises(ValueError, match="the side is 0 pixels"):
        replace(ABOUT, side=0)
