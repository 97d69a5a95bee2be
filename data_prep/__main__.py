"""Prepare an image set: one HDF5 file of labelled, resized images, split into train, val and test.

    python -m data_prep cars --source ~/stanford_cars        data/cars.h5, 224 px: 2.4 GB, a minute or two
    python -m data_prep birds --source ~/part --subset       data/birds50.h5
    python -m data_prep birds --source ~/CUB_200_2011 --only results/subsets/birds50.csv --side 64
                                                             data/birds50.h5
    python -m data_prep folder --source ~/photos --name mushrooms
                                                             data/mushrooms.h5, 64 px, from a folder per class
    python -m data_prep digits --source ~/mnist              data/mnist.h5, 28 px: 165 MB, seconds
    python -m data_prep cars --drawn                         data/drawn-cars.h5, synthetic, 64 px: 20 MB, seconds

It ends with the set's row of thesis table 4.1. What it cannot use it refuses in one line, with exit status 2."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from bcnn_prune.command_line.check import at_least
from bcnn_prune.command_line.parse import Share
from bcnn_prune.command_line.run import run
from bcnn_prune.command_line.system_errors import in_words
from bcnn_prune.data.format import unturned
from bcnn_prune.datasets import OFFICIAL, SYNTHETIC_CLASSES, SYNTHETIC_TRAIN_IMAGES, DatasetName, require_own_name
from bcnn_prune.records import DatasetInfo
from data_prep.examples import Shares
from data_prep.prepare import SYNTHETIC_SIDE, default_path, prepare_drawn, prepare_official, prepare_own
from data_prep.progress import progress_reporter
from data_prep.write import Report

FOLDER = "folder"
SYNONYMS = {"digits": "mnist"}
CHOICES = (*OFFICIAL, *SYNONYMS, FOLDER)
LISTED = 10
"""Files left out that are printed singly."""

Choice = Annotated[
    str,
    tyro.conf.Positional,
    tyro.constructors.PrimitiveConstructorSpec[str](
        nargs=1,
        metavar=f"{{{','.join(CHOICES)}}}",
        instance_from_str=lambda words: words[0],
        is_instance=lambda value: isinstance(value, str),
        str_from_instance=lambda value: [value],
        choices=CHOICES,
    ),
]
"""A set of the registry, or a folder."""


@dataclass(frozen=True)
class Settings:
    """Prepare an image set: read an official set or a folder, or render a synthetic set, and write data/<name>.h5."""

    dataset: Choice
    """FGVC-Aircraft, Stanford Cars, CUB-200-2011 or MNIST (digits); or a folder of your own images."""
    source: Path | None = None
    """Folder of the official set, unpacked as it was published; or of your own images, with a folder per class."""
    name: str | None = None
    """Name of your own set: any that no official set has."""
    drawn: bool = False
    """Render a synthetic set of this family instead of reading one."""
    side: int | None = None
    """Image side in pixels; 224, or 28 for MNIST, or 64 for your own and for synthetic sets."""
    out: Path | None = None
    """File to write; data/<name>.h5."""
    subset: bool = False
    """The source is a part of the set: the number of classes goes into its name."""
    only: Path | None = None
    """Take only the images that this list names, see results/subsets/; the number of classes goes into the name."""
    drop_duplicates: bool = False
    """Of the same file in two splits of your own keep one, a test image first, and none where its classes differ; else
    they are refused."""
    val_share: Share | None = None
    """Share of every class's training images that becomes val where there is none; 0.1."""
    test_share: Share | None = None
    """Share of every class's images that becomes test where there is none; 0.2."""
    classes: int | None = None
    """Classes of a synthetic set; 20."""
    train_images: int | None = None
    """Training images of each class of a synthetic set, which is harder with fewer of them; 40."""
    seed: int = 0
    """Seed of the splits that are cut, or of a synthetic set."""

    def check(self) -> None:
        """Raise ValueError for a combination that makes no sense."""
        if self.dataset == FOLDER:
            self._check_folder()
        elif self.name is not None or self.drop_duplicates:
            raise ValueError("--name and --drop-duplicates are for your own images: python -m data_prep folder")
        elif self.drawn == (self.source is not None):
            raise ValueError(f"take one: --source with the folder of the {self.dataset} set, or --drawn")
        if self.drawn and (self.subset or self.only or self.val_share is not None or self.test_share is not None):
            raise ValueError("--subset, --only and the shares are for a --source, not for a synthetic set")
        if (self.classes is not None or self.train_images is not None) and not self.drawn:
            raise ValueError("--classes and --train-images are for --drawn: a source has its own")
        at_least(0, seed=self.seed)
        at_least(1, side=self.side, train_images=self.train_images)

    def _check_folder(self) -> None:
        if self.source is None or self.name is None:
            raise ValueError("a folder needs --source, its path, and --name, what the set is called")
        if self.drawn or self.subset or self.only:
            raise ValueError("--drawn, --subset and --only are for official sets, not for a folder")
        require_own_name(self.name)


def main(settings: Settings) -> None:
    """Prepare the set and print its row."""
    settings.check()
    settings = replace(settings, dataset=SYNONYMS.get(settings.dataset, settings.dataset))
    out = settings.out or default_path(settings.dataset).parent
    with in_words(replace(settings, out=out)), progress_reporter(Console(stderr=True)) as report:
        info, left_out = prepare(settings, report)
    console = Console(markup=False, highlight=False)  # a path may hold brackets
    if settings.subset and info.kind == "official":
        console.print(f"The source is the complete set: it is called {info.name}.")
    console.print(row(info))
    path = settings.out or default_path(info.name)
    print_left_out(console, left_out)
    if info.kind in ("official", "subset") and (count := unturned(path)):
        console.print(
            f"{count:,} of {sum(info.images.values()):,} photographs note a rotation (EXIF), which is not "
            "applied: the thesis read pixels as they are stored.",
            soft_wrap=True,
        )
    console.print(f"{path}, digest {info.digest[:12]}", soft_wrap=True)


def prepare(settings: Settings, report: Report) -> tuple[DatasetInfo, Sequence[str]]:
    """Write the set that the settings ask for. Also returns a line for each file that was left out."""
    source, side, out = settings.source, settings.side, settings.out
    if source is None:
        classes = SYNTHETIC_CLASSES if settings.classes is None else settings.classes
        images = SYNTHETIC_TRAIN_IMAGES if settings.train_images is None else settings.train_images
        name = DatasetName.synthetic(settings.dataset, classes, images)
        side = SYNTHETIC_SIDE if side is None else side
        return prepare_drawn(name, side, out or default_path(name.name), report, settings.seed), ()
    shares = Shares(settings.val_share, settings.test_share, settings.seed)
    if settings.name is not None:
        return prepare_own(
            settings.name,
            source,
            report,
            side=side,
            out=out,
            drop_duplicates=settings.drop_duplicates,
            shares=shares,
        )
    info = prepare_official(
        settings.dataset,
        source,
        report,
        side=side,
        out=out,
        subset=settings.subset,
        only=settings.only,
        shares=shares,
    )
    return info, ()


def print_left_out(console: Console, lines: Sequence[str]) -> None:
    """The first lines about files that are not used, and how many more there are."""
    for line in lines[:LISTED]:
        console.print(f"left out: {line}", soft_wrap=True)
    if len(lines) > LISTED:
        console.print(f"left out: {len(lines) - LISTED:,} more files")


def row(info: DatasetInfo) -> Table:
    """The set's row of thesis table 4.1."""
    table = Table(title=f"Table 4.1: {info.name}")
    columns = {split: f"{count:,}" for split, count in info.images.items()} | {
        "classes": str(info.classes),
        "per class": _range(info.per_class),
        "source, px": f"{_range(info.source_widths)} × {_range(info.source_heights)}",
        "side, px": str(info.side),
    }
    for name in columns:
        table.add_column(name, justify="right")
    table.add_row(*columns.values())
    return table


def _range(pair: tuple[int, int]) -> str:
    low, high = pair
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


if __name__ == "__main__":
    run(main, Settings, __doc__)
