"""List the examples of Stanford Cars (Krause et al. 2013): the official layout, and Kaggle's with class folders.

official  devkit/*.mat, cars_train/*.jpg, cars_test/*.jpg, cars_test_annos_withlabels.mat; Kaggle also nests
          car_devkit/devkit/*.mat and cars_train/cars_train/*.jpg
Kaggle    names.csv, anno_train.csv, anno_test.csv, car_data/car_data/{train,test}/<class name>/*.jpg

An image is called cars_train/00001.jpg or cars_test/00001.jpg in both, so both give the same set. The boxes are not
used: the thesis resized whole frames."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from data_prep.examples import Example, Split
from data_prep.lists import find, lines
from data_prep.photos import Photo

SPLITS: tuple[Split, Split] = ("train", "test")
WHERE_TEST_LABELS_ARE = "https://github.com/pytorch/vision/issues/7545#issuecomment-1631441616"
"""The official address is gone; torchvision's documentation sends its readers here."""


def examples(source: Path) -> tuple[list[str], list[Example]]:
    """Class names, and the official train and test images. Images are not opened.

    `source` is the folder that holds the devkit or names.csv, or its parent. Raises ValueError with the file and the
    line or annotation at fault."""
    patterns = tuple(f"{above}devkit/cars_meta.mat" for above in ("", "*/", "*/car_devkit/"))
    if not any(True for pattern in patterns for _ in source.glob(pattern)):
        return _class_folders(find(source, (*patterns, "names.csv", "*/names.csv"), "stanford_cars").parent)
    return _official(find(source, patterns, "stanford_cars").parent)


def _official(devkit: Path) -> tuple[list[str], list[Example]]:
    root = devkit.parent.parent if devkit.parent.name == "car_devkit" else devkit.parent
    names = [str(name) for name in _variable(devkit / "cars_meta.mat", "class_names")]
    # Kaggle serves the file with the test labels under a name with a number: "cars_test_annos_withlabels (1).mat".
    labelled = sorted(path for folder in (root, devkit) for path in folder.glob("cars_test_annos_withlabels*.mat"))
    if not labelled:
        raise ValueError(
            f"{root / 'cars_test_annos_withlabels.mat'} is missing: the devkit has no test labels,"
            f" take the file from {WHERE_TEST_LABELS_ARE} and put it there"
        )
    found: dict[str, Example] = {}
    for split, path in zip(SPLITS, (devkit / "cars_train_annos.mat", labelled[0]), strict=True):
        folder = root / f"cars_{split}"
        folder = folder / folder.name if (folder / folder.name).is_dir() else folder
        for place, label, file in annotations(path):
            _add(found, split, names, label, Photo(folder / file, place))
    return names, list(found.values())


def _class_folders(root: Path) -> tuple[list[str], list[Example]]:
    names = [name for _, (name,) in lines(root / "names.csv", r'"?([^"]+)"?', "<class name>")]
    places = (root / "car_data" / "car_data", root / "car_data", root)
    images = next((place for place in places if (place / "train").is_dir()), places[0])
    found: dict[str, Example] = {}
    for split in SPLITS:
        form = "<file>,<x1>,<y1>,<x2>,<y2>,<class>"
        for place, (file, label) in lines(root / f"anno_{split}.csv", r"([^,/]+)(?:,\d+){4},(\d{1,9})", form):
            # A folder cannot be called "Ram C/V Cargo Van Minivan 2012". A label out of range is refused by _add.
            folder = names[int(label) - 1].replace("/", "-") if 1 <= int(label) <= len(names) else ""
            _add(found, split, names, int(label), Photo(images / split / folder / file, place))
    return names, list(found.values())


def _add(found: dict[str, Example], split: Split, names: list[str], label: int, photo: Photo) -> None:
    id = f"cars_{split}/{photo.path.name}"
    if not 1 <= label <= len(names):
        raise ValueError(f"{photo.listed}: class {label} is not one of 1 to {len(names)}")
    if id in found:
        raise ValueError(f"{photo.listed}: {id} is listed before")
    found[id] = Example(id, label - 1, split, photo.pixels, photo.size, photo.unturned)


def annotations(path: Path) -> Iterator[tuple[str, int, str]]:
    """(place, class from 1, file name) of every annotation in a devkit .mat file.

    Raises ValueError that names the file where it is something else, or has no classes, as cars_test_annos.mat has."""
    entries = _variable(path, "annotations")
    if lacking := {"class", "fname"} - set(entries.dtype.names or ()):
        raise ValueError(f"{path}: its annotations lack {' and '.join(sorted(lacking))}")
    for number, entry in enumerate(entries, start=1):
        place, label, file = f"{path} annotation {number}", entry["class"], entry["fname"]
        whole = isinstance(label, int | float | np.number) and float(label).is_integer()  # MATLAB's numbers are doubles
        if not whole or not isinstance(file, str) or "/" in file:
            raise ValueError(f"{place}: class {label!r}, file {file!r} are no whole number and plain file name")
        yield place, int(label), file


def _variable(path: Path, name: str) -> Any:
    """A vector from a MATLAB file."""
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    try:
        variables = scipy.io.loadmat(path, squeeze_me=True, variable_names=[name])
    except Exception as error:  # scipy lets through whatever a damaged file sets off, from TypeError to zlib.error
        raise ValueError(f"{path} is no MATLAB file, or it is damaged: {error}") from error
    if name not in variables:
        raise ValueError(f"{path} has no variable {name}")
    return np.atleast_1d(variables[name])
