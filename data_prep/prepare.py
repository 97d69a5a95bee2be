"""Prepare a set under the name it deserves: an official set, a part of one, or a drawn one."""

from collections.abc import Callable, Mapping
from pathlib import Path

from bcnn_prune.datasets import OFFICIAL, DatasetName
from bcnn_prune.records import DatasetInfo
from data_prep.examples import Example, cut_val
from data_prep.official import aircraft, birds, cars
from data_prep.official.subset import select
from data_prep.synthetic import families
from data_prep.write import Report, write

VAL_SHARE = 0.1
"""Of every class's training images, unless told otherwise."""


Reader = Callable[[Path], tuple[list[str], list[Example]]]
"""A folder with the files of a published set → its class names and examples."""

READERS: Mapping[str, Reader] = {"aircraft": aircraft.examples, "cars": cars.examples, "birds": birds.examples}
"""By family; what they must find is in `OFFICIAL`."""


def default_path(name: str) -> Path:
    """Where a set lies unless told otherwise, seen from the project's folder."""
    return Path("data") / f"{name}.h5"


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
    """Write the set below `source` to `out`, or where its name says: its family, with `subset` and how many classes.

    A subset that turns out complete gets the official name; what a list `only` names is a subset of what is there. Val
    is cut by `val_share`, VAL_SHARE where that is None, unless the list names its images. Raises ValueError where lists
    or images are at fault and, without `subset`, where classes and images of the source are not the official number."""
    official = OFFICIAL[family]
    names, examples = READERS[family](source)
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
    whole = complete and only is None
    name = DatasetName.official(family) if whole else DatasetName.subset(family, len(names))
    return write(out or default_path(name.name), name, side, names, examples, report)


def _counted(classes: int, train: int, test: int) -> str:
    return f"{classes} classes, {train:,} training and {test:,} test images"


def prepare_drawn(
    family: str, classes: int, side: int, out: Path, report: Report = lambda *_: None, seed: int = 0
) -> DatasetInfo:
    """Draw the set and write it to `out`, over one that is there."""
    names, examples = families.examples(family, classes, seed)
    return write(out, DatasetName.synthetic(family, classes), side, names, examples, report)
