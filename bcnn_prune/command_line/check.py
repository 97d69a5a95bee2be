"""Refuse a setting that cannot work, by the name and the value that the user gave.

Called from a settings' own `check`, and not from its `__post_init__`: settings are also made by other settings."""

import math
from collections.abc import Collection, Mapping, Sequence

from bcnn_prune.command_line.parse import option

Given = float | Sequence[float] | None
"""One value or several; None stands for a default that is found later."""

MOST = 2**32 - 1
"""No count means more, and libraries that take it as a C integer fail on it in ways of their own."""
MOST_THREADS = 1024
"""Asked for a hundred thousand, a runtime starts them for minutes; for more, it fails in a way of its own."""


def at_least(least: float, **settings: Given) -> None:
    """Raise ValueError for the first setting with a value below `least`, above MOST, or that is no number."""
    for name, value in _each(settings):
        if not least <= value <= MOST:
            limit = f"at most {MOST:,}" if value > MOST else f"{least:g} or more"
            raise ValueError(f"{option(name)} is {value:.12g}: take {limit}")


def thread_counts(**settings: int | None) -> None:
    """Raise ValueError for the first setting below 1 or above MOST_THREADS."""
    at_least(1, **settings)
    for name, value in _each(settings):
        if value > MOST_THREADS:
            raise ValueError(f"{option(name)} is {value:,}: take at most {MOST_THREADS:,}")


def more_than(low: float, **settings: Given) -> None:
    """Raise ValueError for the first setting with a value of `low` or less, or that is not finite."""
    for name, value in _each(settings):
        if not low < value < math.inf:
            raise ValueError(f"{option(name)} is {value:.12g}: take more than {low:g}")


def shares(**settings: Given) -> None:
    """Raise ValueError for the first setting with a share below 0, or of 1 or more."""
    for name, value in _each(settings):
        if not 0 <= value < 1:
            raise ValueError(f"{option(name)} is {value:.12g}: take 0 or more and less than 1, such as 0.4 or 40%")


def one_of(known: Collection[str], **settings: str | Sequence[str]) -> None:
    """Raise ValueError for the first setting that is, or has, none of the `known` names."""
    for name, given in settings.items():
        for value in (given,) if isinstance(given, str) else given:
            if value not in known:
                raise ValueError(f"{option(name)} is {value!r}: take {', '.join(known)}")


def some(example: str, **settings: Sequence[object]) -> None:
    """Raise ValueError for the first setting without any value; `example` has some."""
    for name, given in settings.items():
        if not given:
            raise ValueError(f"{option(name)} is empty: give some values, such as {option(name)} {example}")


def _each(settings: Mapping[str, Given]) -> list[tuple[str, float]]:
    return [
        (name, value)
        for name, given in settings.items()
        if given is not None
        for value in (given if isinstance(given, Sequence) else (given,))
    ]
