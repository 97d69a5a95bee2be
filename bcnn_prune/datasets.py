"""The published image sets, and what a set's name says of it: the family it is of and the kind it is.

Another published set is one `Dataset` here, and the reader of its files in data_prep. Nothing else parses a name:
prepared files and records hold family and kind, and `DatasetName.stored` reads those from before they did."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["official", "subset", "synthetic", "own"]
"""A published set, whole or in part; drawn by this project; or a set of anyone's own, which is its own family."""


@dataclass(frozen=True)
class Dataset:
    """A published set, in the numbers of its authors."""

    title: str
    classes: int
    train: int
    """Images of the official training split, from which val is cut."""
    test: int


OFFICIAL: Mapping[str, Dataset] = {
    "aircraft": Dataset("FGVC-Aircraft", classes=100, train=6_667, test=3_333),  # Maji et al. 2013
    "cars": Dataset("Stanford Cars", classes=196, train=8_144, test=8_041),  # Krause et al. 2013
    "birds": Dataset("CUB-200-2011", classes=200, train=5_994, test=5_794),  # Wah et al. 2011
}
"""By family."""

SYNTHETIC_CLASSES = 20
"""A synthetic set of this size needs no number in its name."""


@dataclass(frozen=True)
class DatasetName:
    """A set's name, and the family and kind that it was prepared as."""

    name: str
    """cars, drawn-cars, cars50: never the official name for anything but the official set."""
    family: str
    kind: Kind
    classes: int | None
    """As the name tells; None where it does not."""

    @classmethod
    def official(cls, family: str) -> "DatasetName":
        """The whole published set: cars."""
        return cls(family, family, "official", OFFICIAL[family].classes)

    @classmethod
    def subset(cls, family: str, classes: int) -> "DatasetName":
        """A part of a published set: cars50."""
        return cls(f"{family}{classes}", family, "subset", classes)

    @classmethod
    def synthetic(cls, family: str, classes: int = SYNTHETIC_CLASSES) -> "DatasetName":
        """A set that is drawn after a published one: drawn-cars, drawn-cars50."""
        number = "" if classes == SYNTHETIC_CLASSES else classes
        return cls(f"drawn-{family}{number}", family, "synthetic", classes)

    @classmethod
    def own(cls, name: str) -> "DatasetName":
        """A set of anyone's own: its family is its name, whatever that looks like."""
        return cls(name, name, "own", None)

    @classmethod
    def stored(cls, name: str, family: str | None, kind: str | None) -> "DatasetName":
        """As a file holds it; family and kind are None in files from before they were stored, when names told them.

        Raises ValueError where one of the two is missing, and for a kind that is none."""
        if family is None and kind is None:
            return cls.parse(name)
        if family is None or kind is None:
            raise ValueError(f"of family and kind the set {name} has one: it needs both")
        for known in get_args(Kind):
            if kind == known:
                return cls(name, family, known, None)
        raise ValueError(f"the set {name} is of kind {kind!r}: it can be {', '.join(get_args(Kind))}")

    @classmethod
    def parse(cls, name: str) -> "DatasetName":
        """What a command line means by a name."""
        match = re.fullmatch(rf"(drawn-)?({'|'.join(map(re.escape, OFFICIAL))})([1-9][0-9]*)?", name)
        if match is None:
            return cls.own(name)
        drawn, family, classes = match.groups()
        if drawn:
            return cls.synthetic(family, int(classes or SYNTHETIC_CLASSES))
        return cls.subset(family, int(classes)) if classes else cls.official(family)
