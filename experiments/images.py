"""Find the image set that a command means: the real one where it is prepared, else the drawn one, and say so."""

import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bcnn_prune.data.format import describe
from bcnn_prune.records import DatasetInfo
from data_prep.prepare import OFFICIAL, default_path, drawn_label, prepare_drawn
from data_prep.progress import shown

DRAWN_SIDE = 64  # px: a network of a quarter of the width learns the drawn sets at this side in a minute


def find(dataset: str, data: Path | None, classes: int, console: Console) -> tuple[Path, DatasetInfo]:
    """The HDF5 file for `dataset` and what it holds.

    `data` names the file outright. Else it is data/<dataset>.h5; where that is not there and a whole family was named,
    the drawn set of `classes` classes takes its place under its own name, drawn first if need be."""
    family = family_of(dataset)
    if dataset == f"drawn-{family}":
        dataset = drawn_label(family, classes)
    path = default_path(dataset) if data is None else data
    if data is not None or path.exists():
        info = describe(path)
        if info.name != dataset and (dataset != family or family_of(info.name) != family):
            raise ValueError(f"{path} holds {info.name}, not {dataset}: name another --data or --dataset")
        return path, info
    if dataset == family:
        label = drawn_label(family, classes)
        console.print(
            Text(f"{path} is not there, so this run uses {label}, a drawn set.", "bold"),
            f"To run on real images: python -m data_prep {family} --source DIR (see README.md)",
        )
    elif dataset.startswith("drawn-"):
        classes = int(dataset.removeprefix(f"drawn-{family}") or classes)
    else:
        raise FileNotFoundError(
            f"{path} is not there: python -m data_prep {family} --source DIR --only results/subsets/{dataset}.csv "
            "prepares it, or --subset where DIR holds no more than that part"
        )
    path = default_path(drawn_label(family, classes))
    if path.exists():
        return path, describe(path)
    with shown(console) as report:
        return path, prepare_drawn(family, classes, DRAWN_SIDE, path, report)


def family_of(dataset: str) -> str:
    """aircraft, cars or birds, from a label such as drawn-cars50. Raises ValueError for any other."""
    match = re.fullmatch(rf"(?:drawn-)?({'|'.join(OFFICIAL)})\d*", dataset)
    if match is None:
        raise ValueError(f"no data set {dataset}: take {', '.join(OFFICIAL)}, drawn-cars, or a subset such as cars50")
    return match[1]
