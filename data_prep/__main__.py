"""Prepare an image set: one HDF5 file of labelled, resized images, split into train, val and test.

python -m data_prep cars --source ~/stanford_cars        data/cars.h5, 224 px: 2.4 GB, a minute or two
python -m data_prep birds --source ~/part --subset       data/birds50.h5
python -m data_prep birds --source ~/CUB_200_2011 --only results/subsets/birds50.csv   data/birds50.h5
python -m data_prep cars --drawn                         data/drawn-cars.h5, 64 px: 20 MB, seconds

It ends with the set's row of thesis table 4.1. What it cannot use it refuses in one line, with exit status 2."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from bcnn_prune.command_line.check import at_least
from bcnn_prune.command_line.parse import Share
from bcnn_prune.command_line.run import run
from bcnn_prune.command_line.system_errors import in_words
from bcnn_prune.data.format import unturned
from bcnn_prune.datasets import SYNTHETIC_CLASSES, DatasetName
from bcnn_prune.records import DatasetInfo
from data_prep.prepare import default_path, prepare_drawn, prepare_official
from data_prep.progress import progress_reporter
from data_prep.write import Report

SIDE, DRAWN_SIDE = 224, 64


@dataclass(frozen=True)
class Settings:
    """Prepare an image set: read the official files, or draw one, and write data/<label>.h5."""

    family: Annotated[Literal["aircraft", "cars", "birds"], tyro.conf.Positional]
    """FGVC-Aircraft, Stanford Cars or CUB-200-2011."""
    source: Path | None = None
    """Folder of the official set, unpacked as it was published."""
    drawn: bool = False
    """Draw a set of this family instead of reading one."""
    side: int | None = None
    """Image side in pixels; 224, or 64 for a drawn set."""
    out: Path | None = None
    """File to write; data/<label>.h5."""
    subset: bool = False
    """The source is a part of the set: the number of classes goes into its label."""
    only: Path | None = None
    """Take only the images that this list names, see results/subsets/; the number of classes goes into the label."""
    val_share: Share | None = None
    """Share of every class's training images that becomes val; 0.1. A drawn set or a list with val brings its own."""
    classes: int | None = None
    """Classes of a drawn set; 20."""
    seed: int = 0
    """Which images become the val split, or what is drawn."""

    def check(self) -> None:
        """Raise ValueError for a combination that makes no sense."""
        if self.drawn == (self.source is not None):
            raise ValueError(f"take one: --source with the folder of the {self.family} set, or --drawn")
        if self.drawn and (self.subset or self.only is not None or self.val_share is not None):
            raise ValueError("--subset, --only and --val-share are for a --source, not for a drawn set")
        if self.classes is not None and not self.drawn:
            raise ValueError("--classes is for --drawn: a source has its own")
        at_least(0, seed=self.seed)
        at_least(1, side=self.side)


def main(settings: Settings) -> None:
    """Prepare the set and show its row."""
    settings.check()
    out = settings.out or default_path(settings.family).parent
    with in_words(replace(settings, out=out)), progress_reporter(Console(stderr=True)) as report:
        info = prepare(settings, report)
    console = Console()
    if settings.subset and info.kind == "official":
        console.print(f"The source is the complete set: it is called {info.name}.")
    console.print(row(info))
    path = settings.out or default_path(info.name)
    if settings.source is not None:
        console.print(
            f"{unturned(path):,} of {sum(info.images.values()):,} photographs note a rotation (EXIF), which is not "
            "applied: the thesis read pixels as they are stored.",
            soft_wrap=True,
        )
    console.print(f"{path}, digest {info.digest[:12]}", soft_wrap=True)


def prepare(settings: Settings, report: Report) -> DatasetInfo:
    """Write the set that the settings ask for."""
    family, out, seed = settings.family, settings.out, settings.seed
    if settings.source is None:
        side = DRAWN_SIDE if settings.side is None else settings.side
        classes = SYNTHETIC_CLASSES if settings.classes is None else settings.classes
        path = out or default_path(DatasetName.synthetic(family, classes).name)
        return prepare_drawn(family, classes, side, path, report, seed)
    side = SIDE if settings.side is None else settings.side
    return prepare_official(
        family, settings.source, side, out, settings.subset, settings.only, seed, settings.val_share, report
    )


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
