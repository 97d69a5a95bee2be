"""Find the image set that a command means: the real one where it is prepared, else the drawn one, and say so."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from bcnn_prune.data.format import describe
from bcnn_prune.datasets import OFFICIAL, DatasetName
from bcnn_prune.records import DatasetInfo
from data_prep.prepare import default_path, prepare_drawn
from data_prep.progress import progress_reporter

DRAWN_SIDE = 64  # px: a network of a quarter of the width learns the drawn sets at this side in a minute


def find_dataset(dataset: str, data: Path | None, classes: int, console: Console) -> tuple[Path, DatasetInfo]:
    """The HDF5 file for `dataset` and what it holds.

    `data` names the file outright. Else it is data/<dataset>.h5; where that is not there and a whole family was named,
    the drawn set of `classes` classes takes its place under its own name, drawn first if need be."""
    asked = DatasetName.parse(dataset)
    if dataset == DatasetName.synthetic(asked.family).name:
        asked = DatasetName.synthetic(asked.family, classes)
    path = default_path(asked.name) if data is None else data
    if data is not None or path.exists():
        info = describe(path)
        if info.name != asked.name and (asked.kind != "official" or info.family != asked.family):
            raise ValueError(f"{path} holds {info.name}, not {asked.name}: name another --data or --dataset")
        return path, info
    if asked.kind == "own":
        families = ", ".join(OFFICIAL)
        raise ValueError(
            f"no data set {dataset}: take {families}, drawn-cars, a subset such as cars50, or a file with --data"
        )
    if asked.kind == "subset":
        raise FileNotFoundError(
            f"{path} is not there: python -m data_prep {asked.family} --source DIR "
            f"--only results/subsets/{dataset}.csv prepares it, or --subset where DIR holds no more than that part"
        )
    if asked.kind == "official":
        asked = DatasetName.synthetic(asked.family, classes)
        console.print(
            Text(f"{path} is not there, so this run uses {asked.name}, a drawn set.", "bold"),
            f"To run on real images: python -m data_prep {asked.family} --source DIR (see README.md)",
        )
    path = default_path(asked.name)
    if path.exists():
        return path, describe(path)
    with progress_reporter(console) as report:
        return path, prepare_drawn(asked.family, asked.classes or classes, DRAWN_SIDE, path, report)
