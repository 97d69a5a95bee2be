"""List the examples of Stanford Cars (Krause et al. 2013) in the official layouts and those that people share.

official   devkit/*.mat, cars_train/*.jpg, cars_test/*.jpg, cars_test_annos_withlabels.mat; Kaggle also nests
           car_devkit/devkit/*.mat and cars_train/cars_train/*.jpg
Kaggle     names.csv, anno_train.csv, anno_test.csv, car_data/car_data/{train,test}/<class name>/*.jpg
folders    the same without lists: {train,test}/<class name>/*.jpg, also below car_data/
one folder cars_annos.mat, car_ims/*.jpg: the official images under other numbers

In the first three an image is called cars_train/00001.jpg or cars_test/00001.jpg, so they give the same set. The boxes
are not used: the thesis resized whole frames."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from bcnn_prune.files import require_file
from data_prep.examples import Example, Split
from data_prep.official.lists import find, lines, require_folder
from data_prep.photos import Photo, is_image

ABOVE = ("", "*/", "*/*/", "*/*/*/")
"""Glob prefixes of a layout: in the folder that is given, or in folders that unpacking made around it."""

SPLITS: tuple[Split, Split] = ("train", "test")
WHERE_TEST_LABELS_ARE = "https://github.com/pytorch/vision/issues/7545#issuecomment-1631441616"
"""The official address is gone; torchvision's documentation sends its readers here."""


def examples(source: Path) -> tuple[list[str], list[Example]]:
    """Class names, and the official train and test images. Images are not opened.

    `source` is the folder that holds the layout, or up to three above it. Raises ValueError with the file and the line
    or annotation at fault."""
    layouts: dict[str, Callable[[Path], tuple[list[str], list[Example]]]] = {
        "devkit/cars_meta.mat": _official,
        "anno_train.csv": _listed_folders,
        "cars_annos.mat": _one_folder,
        "train": _class_folders,
    }
    require_folder(source)
    for file, read in layouts.items():
        patterns = tuple(f"{above}{file}" for above in ABOVE)
        if any(True for pattern in patterns for _ in source.glob(pattern)):
            return read(find(source, patterns, "stanford_cars").parent)
    looked_for = ", ".join(layouts)
    raise ValueError(f"--source {source} is no folder of stanford_cars: looked in and below it for {looked_for}")


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
        for entry in annotations(path):
            _add(found, split, names, entry.label, Photo(folder / entry.file, entry.place))
    return names, list(found.values())


def _listed_folders(root: Path) -> tuple[list[str], list[Example]]:
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


def _class_folders(root: Path) -> tuple[list[str], list[Example]]:
    """Class folders without lists: classes are the folders' names, in alphabetical order."""
    if not (root / "test").is_dir():
        raise ValueError(f"{root} has a folder train and no folder test: give the folder that holds both")
    folders = sorted({path.name for split in SPLITS for path in (root / split).iterdir() if path.is_dir()})
    # The one official name that no folder can have: "Ram C/V Cargo Van Minivan 2012".
    names = [name.replace(" C-V ", " C/V ") for name in folders]
    found: dict[str, Example] = {}
    for split in SPLITS:
        paths = [path for name in folders for path in sorted((root / split / name).glob("*")) if is_image(path.name)]
        official = len({path.name for path in paths}) == len(paths)  # or every class counts from 1
        for path in paths:
            label = folders.index(path.parent.name) + 1
            id = path.name if official else f"{path.parent.name}/{path.name}"
            _add(found, split, names, label, Photo(path, str(path.parent)), f"cars_{split}/{id}")
    if not found:
        raise ValueError(f"{root} has no images in train/<class name> and test/<class name>")
    return names, list(found.values())


def _one_folder(root: Path) -> tuple[list[str], list[Example]]:
    """All images in car_ims, and their splits in cars_annos.mat."""
    path = root / "cars_annos.mat"
    folder = next((place for place in (root / "car_ims", root) if (place / "car_ims").is_dir()), None)
    if folder is None:
        raise ValueError(
            f"{path} is about images in car_ims, which is not beside it (in cars_train and cars_test they have other"
            f" numbers): take car_ims, or for cars_train and cars_test the devkit with its labels, see"
            f" {WHERE_TEST_LABELS_ARE}"
        )
    names = [str(name) for name in _variable(path, "class_names")]
    found: dict[str, Example] = {}
    for entry in annotations(path, "relative_im_path", "car_ims/"):
        photo = Photo(folder / entry.file, entry.place)
        _add(found, SPLITS[entry.test], names, entry.label, photo, entry.file)
    return names, list(found.values())


def _add(
    found: dict[str, Example], split: Split, names: list[str], label: int, photo: Photo, id: str | None = None
) -> None:
    """Add an image to those found; an id that is not given is the official one."""
    id = id or f"cars_{split}/{photo.path.name}"
    if not 1 <= label <= len(names):
        raise ValueError(f"{photo.listed}: class {label} is not one of 1 to {len(names)}")
    if id in found:
        raise ValueError(f"{photo.listed}: {id} is listed before")
    found[id] = Example(id, label - 1, split, photo.pixels, photo.size, photo.unturned)


@dataclass(frozen=True)
class Annotation:
    """An entry of a devkit, or of cars_annos.mat."""

    place: str
    """File and number, for a message."""
    label: int
    """Number of the class, from 1."""
    file: str
    test: bool
    """The flag in cars_annos.mat; False in a devkit, which has one file per split."""


def annotations(path: Path, image: str = "fname", folder: str = "") -> Iterator[Annotation]:
    """The annotations in a .mat file, whose field `image` names a file in `folder`, a name that ends with a slash.

    Raises ValueError that names the file where it is something else, or has no classes, as cars_test_annos.mat has."""
    entries = _variable(path, "annotations")
    wanted = {"class", image} | ({"test"} if folder else set())
    if lacking := wanted - set(entries.dtype.names or ()):
        raise ValueError(f"{path}: its annotations lack {' and '.join(sorted(lacking))}")
    for number, entry in enumerate(entries, start=1):
        place, label, file = f"{path} annotation {number}", entry["class"], entry[image]
        plain = isinstance(file, str) and file.startswith(folder) and "/" not in file.removeprefix(folder)
        if not _is_whole(label) or not plain:
            kind = f"file name in {folder}" if folder else "plain file name"
            raise ValueError(f"{place}: class {label!r}, file {file!r} are no whole number and {kind}")
        test = entry["test"] if folder else 0
        if not _is_whole(test) or test not in (0, 1):
            raise ValueError(f"{place}: test is {test!r}, not 0 or 1")
        yield Annotation(place, int(label), file, bool(test))


def _is_whole(number: object) -> bool:
    """MATLAB's numbers are doubles unless somebody cast them."""
    return isinstance(number, int | float | np.number) and float(number).is_integer()


def _variable(path: Path, name: str) -> Any:
    """A vector from a MATLAB file."""
    if not path.exists():
        raise ValueError(f"{path} is missing")
    require_file(path)
    try:
        variables = scipy.io.loadmat(path, squeeze_me=True, variable_names=[name])
    except Exception as error:  # scipy lets through whatever a damaged file sets off, from TypeError to zlib.error
        raise ValueError(f"{path} is no MATLAB file, or it is damaged: {error}") from error
    if name not in variables:
        raise ValueError(f"{path} has no variable {name}")
    return np.atleast_1d(variables[name])
