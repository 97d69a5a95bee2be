"""Prepare a set under its name: an official set or a part of one, a set of anyone's own, or a synthetic one."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from bcnn_prune.datasets import OFFICIAL, SYNTHETIC_CLASSES, DatasetName, require_own_name
from bcnn_prune.records import DatasetInfo
from data_prep import folder
from data_prep.examples import DEFAULT_SHARES, Example, Shares
from data_prep.official.subset import select
from data_prep.synthetic import families
from data_prep.write import Report, write

OWN_SIDE, SYNTHETIC_SIDE = 64, 64  # px: recipes for own and for synthetic sets are made at this side

Reader = Callable[[Path], tuple[list[str], list[Example]]]
"""A folder with the files of a published set → its class names and examples."""


def reader(family: str) -> Reader:
    """The reader of a published set: `examples` in the module of data_prep.official that is called as its family."""
    read: Reader = import_module(f"data_prep.official.{family}").examples
    return read


def default_path(name: str) -> Path:
    """Default path of a set, relative to the project's folder."""
    return Path("data") / f"{name}.h5"


def prepare_official(
    family: str,
    source: Path,
    report: Report,
    *,
    side: int | None = None,
    out: Path | None = None,
    subset: bool = False,
    only: Path | None = None,
    shares: Shares = DEFAULT_SHARES,
) -> DatasetInfo:
    """Write the published set in `source` to `out`, or to the default path of its name.

    A subset that turns out complete gets the official name. A list `only` makes a subset in any case. Splits that the
    source and the list lack are cut by `shares`, in a subset also a test split that is all there is. Raises ValueError
    where lists or images are at fault and, without `subset`, where classes and images are not the official number."""
    official = OFFICIAL[family]
    names, examples = reader(family)(source)
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
    if train == 0 and only is None:
        examples = [replace(example, split="train") for example in examples]
    elif not any(example.split == "test" for example in examples):
        raise ValueError(f"{only or source} lists no test image")
    examples = shares.fill(examples, only or source)
    whole = complete and only is None
    name = DatasetName.official(family) if whole else DatasetName.subset(family, len(names), len(examples))
    return write(out or default_path(name.name), name, official.side if side is None else side, names, examples, report)


def _counted(classes: int, train: int, test: int) -> str:
    return f"{classes} classes, {train:,} training and {test:,} test images"


def prepare_own(
    name: str,
    source: Path,
    report: Report,
    *,
    side: int | None = None,
    out: Path | None = None,
    drop_duplicates: bool = False,
    shares: Shares = DEFAULT_SHARES,
) -> tuple[DatasetInfo, list[str]]:
    """Write the images in the class folders of `source` to `out`, or to the default path of `name`.

    Also returns a line for each file that was left out. Splits that the source lacks are cut by `shares`. Raises
    ValueError for a name that is taken, and for a folder at fault; see `folder.read`."""
    require_own_name(name)
    found = folder.read(source, drop_duplicates)
    examples = shares.fill(found.examples, source)
    own = DatasetName.own(name)
    side = OWN_SIDE if side is None else side
    return write(out or default_path(name), own, side, found.class_names, examples, report), found.left_out


def prepare_drawn(
    name: DatasetName, side: int, out: Path, report: Report = lambda *_: None, seed: int = 0
) -> DatasetInfo:
    """Render the synthetic set of this name and write it to `out`, over one that is there."""
    classes = SYNTHETIC_CLASSES if name.classes is None else name.classes
    names, examples = families.examples(name.family, classes, seed, name.train_images)
    return write(out, name, side, names, examples, report)
