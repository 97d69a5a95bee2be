"""Code words of the classes: their parts, which differ in at least DISTANCE places."""

import hashlib
from collections.abc import Mapping
from itertools import product
from operator import ne

DISTANCE = 3
"""Parts in which any two classes differ: one hidden part never makes two classes the same."""

Parts = Mapping[str, tuple[str, ...]]
"""Each part of a family's objects and the kinds it comes in."""


def code_words(parts: Parts, classes: int) -> list[dict[str, str]]:
    """The kind of every part, for each class; the first classes are the same however many there are.

    Raises ValueError where the parts do not allow so many classes."""
    words: list[tuple[str, ...]] = []
    # In the order of counting the first words would all share the first parts; by hash, every kind turns up early.
    for word in sorted(product(*parts.values()), key=_hash):
        if len(words) == classes >= 2:
            break
        if all(sum(map(ne, word, other)) >= DISTANCE for other in words):
            words.append(word)
    if not 2 <= classes <= len(words):
        raise ValueError(f"{classes} classes cannot be rendered: take --classes 2 to {len(words)}")
    return [dict(zip(parts, word, strict=True)) for word in words]


def _hash(word: tuple[str, ...]) -> bytes:
    return hashlib.sha256("/".join(word).encode()).digest()
