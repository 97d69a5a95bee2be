"""Correct images as packed bits."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.records import Evaluation
from bcnn_prune.records.compared import agree, pack, unpack


@given(st.lists(st.booleans(), max_size=70))
def test_flags_are_the_same_after_packing(flags: list[bool]) -> None:
    text = pack(np.array(flags, bool))
    assert unpack(text, len(flags)).tolist() == flags
    number = int.from_bytes(base64.b64decode(text), "big") if flags else 0
    assert number == int("".join(str(int(flag)) for flag in flags) or "0", 2) << -len(flags) % 8


def test_bits_of_another_number_of_images_are_refused() -> None:
    with pytest.raises(ValueError, match="1 bytes are no bits of 9 images"):
        unpack(pack(np.ones(8, bool)), 9)


def test_bits_agree_with_their_count_alone() -> None:
    bits = pack(np.array([True, False, True]))
    assert agree(bits, Evaluation(3, 2))
    assert not any(agree(bits, other) for other in (Evaluation(3, 1), Evaluation(9, 2)))
    assert not agree("no base64!", Evaluation(3, 2))
