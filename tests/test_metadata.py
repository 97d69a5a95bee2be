"""Metadata of a model file: unchanged through text, and nothing else accepted."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.metadata import ModelCard, from_text, to_text
from bcnn_prune.model.checkpoint import CheckpointInfo
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.records.json_file import parse, to_fields
from tests.helpers.strategies import TINY

CARD = ModelCard(TINY, ("a", "b", "c"), "drawn-cars3", side=16)


@given(
    st.tuples(st.text(), st.text(), st.text()),
    st.text(),
    st.integers(1, 999),
    st.tuples(*[st.floats(0, 1)] * 3),
    st.sampled_from([TINY, replace(TINY, head="average", batch_norm=False)]),
)
def test_a_description_comes_back(names, dataset, side, mean, spec) -> None:  # type: ignore[no-untyped-def]
    card = ModelCard(spec, names, dataset, side, mean)
    text = to_text(card)
    assert from_text(text) == card
    assert text.isascii()
    assert text.isprintable()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        (to_text(CARD)[:-1], "damaged"),
        (to_text(CARD).replace('"version": 1', '"version": 2'), "has version 2, this program reads version 1"),
        (to_text(CARD).replace('"side": 16', '"side": "much"'), "damaged: invalid value"),
        (to_text(CARD).replace('"side": 16', '"side": 16, "more": 1'), "damaged: extra fields"),
        (to_text(CARD).replace('"a", ', ""), "damaged"),
    ],
)
def test_another_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_text(text)


def test_a_description_that_fits_no_network_or_image_is_refused() -> None:
    with pytest.raises(ValueError, match="2 class names for a network of 3 classes"):
        replace(CARD, class_names=("a", "b"))
    with pytest.raises(ValueError, match="the side is 0 pixels"):
        replace(CARD, side=0)
    for wrong in ({"std": (0.5, 0.0, 0.5)}, {"mean": (0.5,)}, {"std": (0.5, 0.5, float("nan"))}):
        with pytest.raises(ValueError, match="take three numbers each, those of std above 0"):
            replace(CARD, **wrong)


def test_checkpoints_keep_the_stored_name_of_the_card() -> None:
    info = CheckpointInfo(CARD, TINY, ChannelPlan.keep_all(TINY))
    fields = to_fields(info, None)
    assert list(fields) == ["about", "unpruned", "plan"]
    assert parse(json.dumps(fields), CheckpointInfo) == info
    with pytest.raises(ValueError, match="card"):
        parse(
            json.dumps({("card" if name == "about" else name): value for name, value in fields.items()}), CheckpointInfo
        )
