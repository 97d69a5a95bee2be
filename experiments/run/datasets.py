"""Find the prepared file of a data set; a synthetic set stands in for an official one of the thesis that is missing."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from bcnn_prune.data.format import describe
from bcnn_prune.datasets import OFFICIAL, DatasetName
from bcnn_prune.records import DatasetInfo
from data_prep.prepare import SYNTHETIC_SIDE, default_path, prepare_drawn
from data_prep.progress import progress_reporter
from data_prep.synthetic.families import FAMILIES


def find_dataset(dataset: str, data: Path | None, classes: int, console: Console) -> tuple[Path, DatasetInfo]:
    """The HDF5 file for `dataset` and what it holds.

    `data` names the file outright. Else it is data/<dataset>.h5. An official set that is missing is replaced by its
    synthetic counterpart of `classes` classes, under that one's name and rendered if need be. Raises ValueError or
    FileNotFoundError that says how to prepare the set."""
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
            f"no data set {dataset}: take {families}, drawn-cars, a subset such as cars50, a file with --data, or your "
            f"own images after python -m data_prep folder --source DIR --name {dataset}"
        )
    prepares = f"{path} is not there: python -m data_prep {asked.family} --source DIR"
    if asked.kind == "subset":
        listed = f"--only results/subsets/{dataset}.csv prepares it, or " if OFFICIAL[asked.family].in_thesis else ""
        raise FileNotFoundError(f"{prepares} {listed}--subset where DIR holds no more than that part")
    if asked.kind == "official" and asked.family not in FAMILIES:
        raise FileNotFoundError(f"{prepares} prepares it")
    if asked.kind == "official":
        asked = DatasetName.synthetic(asked.family, classes)
        console.print(
            Text(f"{path} is not there, so this run uses {asked.name}, a synthetic set.", "bold"),
            f"To run on real images: python -m data_prep {asked.family} --source DIR (see README.md)",
        )
    path = default_path(asked.name)
    if path.exists():
        return path, describe(path)
    with progress_reporter(console) as report:
        return path, prepare_drawn(asked, SYNTHETIC_SIDE, path, report)
