"""Prepare a set under the label it deserves: an official set, a part of one, or a drawn one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bcnn_prune.records import DatasetInfo
from data_prep import aircraft, birds, cars, drawn
from data_prep.examples import Example, cut_val
from data_prep.subset import select
from data_prep.write import Report, write

DRAWN_CLASSES = 20
"""The drawn sets of this size need no number in their label."""

VAL_SHARE = 0.1
"""Of every class's training images, unless told otherwise."""


@dataclass(frozen=True)
class Official:
    """A published set: who lists its examples, and what they must come to."""

    examples: Callable[[Path], tuple[list[str], list[Example]]]
    classes: int
    train: int
    test: int


OFFICIAL = {
    "aircraft": Official(aircraft.examples, classes=100, train=6_667, test=3_333),
    "cars": Official(cars.examples, classes=196, train=8_144, test=8_041),
    "birds": Official(birds.examples, classes=200, train=5_994, test=5_794),
}


def default_path(label: str) -> Path:
    """Where a set lies unless told otherwise, seen from the project's folder."""
    return Path("data") / f"{label}.h5"


def drawn_label(family: str, classes: int = DRAWN_CLASSES) -> str:
    """drawn-cars, or drawn-cars50."""
    return f"drawn-{family}" + (str(classes) if classes != DRAWN_CLASSES else "")


def prepare_official(
    family: str,
    source: Path,
    side: int,
    out: Path | None,
    subset: bool,
    only: Path | None,
    seed: int,
    val_share: float | None,
    report: Report,
) -> DatasetInfo:
    """Write the set below `source` to `out`, or where its label says: its family, with `subset` and how many classes.

    A subset that turns out complete gets the official label; what a list `only` names is a subset of what is there. Val
    is cut by `val_share`, VAL_SHARE where that is None, unless the list names its images. Raises ValueError where lists
    or images are at fault and, without `subset`, where classes and images of the source are not the official number."""
    official = OFFICIAL[family]
    names, examples = official.examples(source)
    train = sum(example.split == "train" for example in examples)
    counts = (len(names), train, len(examples) - train)
    complete = counts == (official.classes, official.train, official.test)
    if not complete and not subset:
        raise ValueError(
            f"--source {source} lists {_counted(*counts)}, the official set has"
            f" {_counted(official.classes, official.train, official.test)}: complete it, or pass --subset"
        )
    if only is not None:
        names, examples = select(only, names, examples)
    if not any(example.split == "val" for example in examples):
        examples = cut_val(examples, VAL_SHARE if val_share is None else val_share, seed)
    elif val_share is not None:
        raise ValueError(f"{only} names the val images: leave out --val-share")
    label = family if complete and only is None else f"{family}{len(names)}"
    return write(out or default_path(label), label, side, names, examples, report)


def _counted(classes: int, train: int, test: int) -> str:
    return f"{classes} classes, {train:,} training and {test:,} test images"


def prepare_drawn(
    family: str, classes: int, side: int, out: Path, report: Report = lambda *_: None, seed: int = 0
) -> DatasetInfo:
    """Draw the set and write it to `out`, over one that is there."""
    names, examples = drawn.examples(family, classes, seed)
    return write(out, drawn_label(family, classes), side, names, examples, report)
