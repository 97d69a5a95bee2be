"""Registry of the published image sets, and the names of prepared sets: a set's family and its kind.

Another published set is one `Dataset` here and its reader, data_prep/official/<family>.py. Nothing else parses a name:
prepared files and records hold family and kind. `DatasetName.stored` reads those from before they did."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["official", "subset", "synthetic", "own"]
"""A published set, whole or in part; a synthetic set; or a set of anyone's own, which is its own family."""

VALID_NAME = r"[A-Za-z0-9][\w.-]{0,99}"
"""A name becomes part of file names: ASCII letters, digits, dot, underscore and hyphen."""
RESERVED = ("all",)
"""Words that stand for several sets on a command line."""


@dataclass(frozen=True)
class Dataset:
    """A published set, in the numbers of its authors."""

    title: str
    classes: int
    train: int
    """Images of the official training split, from which val is cut."""
    test: int
    licence: str
    """Terms of the images, as their authors state them."""
    side: int = 224
    """Pixels of a prepared image where no other side is asked for; the thesis' by default."""
    in_thesis: bool = False
    """True where the thesis has results on the set, which then gets its recipe."""


RESEARCH = "non-commercial research only"
OFFICIAL: Mapping[str, Dataset] = {
    "aircraft": Dataset(  # Maji et al. 2013
        "FGVC-Aircraft", classes=100, train=6_667, test=3_333, licence=RESEARCH, in_thesis=True
    ),
    "cars": Dataset(  # Krause et al. 2013
        "Stanford Cars", classes=196, train=8_144, test=8_041, licence=RESEARCH, in_thesis=True
    ),
    "birds": Dataset(  # Wah et al. 2011
        "CUB-200-2011", classes=200, train=5_994, test=5_794, licence=RESEARCH, in_thesis=True
    ),
    "mnist": Dataset("MNIST", classes=10, train=60_000, test=10_000, licence="CC BY-SA 3.0", side=28),  # LeCun 1998
}
"""By family."""

SYNTHETIC_CLASSES = 20
"""A synthetic set of this size needs no number in its name."""
SYNTHETIC_TRAIN_IMAGES = 40
"""Training images of a class in a synthetic set whose name says nothing about them."""


@dataclass(frozen=True)
class DatasetName:
    """A set's name, and the family and kind that it was prepared as."""

    name: str
    """cars, drawn-cars, cars50, mnist10k: never the official name for anything but the official set."""
    family: str
    kind: Kind
    classes: int | None
    """Number of classes in the name; None where it holds none."""
    train_images: int = SYNTHETIC_TRAIN_IMAGES
    """Training images of a class, for a synthetic set."""

    @classmethod
    def official(cls, family: str) -> "DatasetName":
        """The whole published set: cars."""
        return cls(family, family, "official", OFFICIAL[family].classes)

    @classmethod
    def subset(cls, family: str, classes: int, images: int = 0) -> "DatasetName":
        """A part of a published set, by its classes: cars50.

        With all classes it is named by its thousands of `images`, where it has as many: mnist10k."""
        if classes == OFFICIAL[family].classes and images >= 1_000:
            return cls(f"{family}{images // 1_000}k", family, "subset", classes)
        return cls(f"{family}{classes}", family, "subset", classes)

    @classmethod
    def synthetic(
        cls, family: str, classes: int = SYNTHETIC_CLASSES, train_images: int = SYNTHETIC_TRAIN_IMAGES
    ) -> "DatasetName":
        """A synthetic set of a published one's family: drawn-cars, drawn-cars50; drawn-cars50x10, of 10 training
        images a class."""
        few = "" if train_images == SYNTHETIC_TRAIN_IMAGES else f"x{train_images}"
        number = "" if classes == SYNTHETIC_CLASSES and not few else classes
        return cls(f"drawn-{family}{number}{few}", family, "synthetic", classes, train_images)

    @classmethod
    def own(cls, name: str) -> "DatasetName":
        """A set of anyone's own: its family is its name, whatever that looks like."""
        return cls(name, name, "own", None)

    @classmethod
    def stored(cls, name: str, family: str | None, kind: str | None) -> "DatasetName":
        """The name as a file holds it. Older files store neither family nor kind, which are then parsed from the name.

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
        """Family and kind of a set as a command line names it."""
        families, number = "|".join(map(re.escape, OFFICIAL)), "([1-9][0-9]*)"
        if drawn := re.fullmatch(rf"drawn-({families})(?:{number}(?:x{number})?)?", name):
            classes, train_images = int(drawn[2] or SYNTHETIC_CLASSES), int(drawn[3] or SYNTHETIC_TRAIN_IMAGES)
            return cls.synthetic(drawn[1], classes, train_images)
        if not (match := re.fullmatch(rf"({families})(?:{number}(k)?)?", name)):
            return cls.own(name)
        family, number, thousands = match.groups()
        if thousands:
            return cls(name, family, "subset", OFFICIAL[family].classes)
        return cls.subset(family, int(number)) if number else cls.official(family)


def require_own_name(name: str) -> None:
    """Raise ValueError unless a set of anyone's own can be called `name`: no name of a published or synthetic set."""
    if not re.fullmatch(VALID_NAME, name, re.ASCII):
        raise ValueError(f"--name is {name!r}: take up to 100 letters, digits, . _ - and begin with a letter or digit")
    parsed = DatasetName.parse(name)
    if parsed.kind != "own" or name in RESERVED:
        kinds = {"official": "the official set", "subset": "a part of an official set", "synthetic": "a synthetic set"}
        raise ValueError(f"--name is {name!r}, which is {kinds.get(parsed.kind, 'a word for all sets')}: take another")
