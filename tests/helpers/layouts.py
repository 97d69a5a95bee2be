"""The official layouts in miniature: three classes, photos of one flat colour each, lists and devkits of true form."""

import csv
import gzip
from pathlib import Path

import numpy as np
import scipy.io
from numpy.typing import NDArray
from PIL import Image

CLASSES = ("Ant 1999", "Ram C/V 2012", "Bee F-16")
SIZE = (48, 64)
"""Width and height: whole blocks of a JPEG, and 44 rows above an aircraft's banner."""


def colour(number: int) -> tuple[int, int, int]:
    """One of its own for each of 64 photos, dark enough to be no banner."""
    return (60 * (number % 4), 60 * (number // 4 % 4), 60 * (number // 16 % 4))


def photo(path: Path, number: int, banner: int = 0) -> None:
    """A flat photo, above a white banner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", SIZE, colour(number))
    image.paste("white", (0, SIZE[1] - banner, *SIZE))
    image.save(path, **({"quality": 95, "subsampling": 0} if path.suffix == ".jpg" else {}))


def birds(root: Path) -> Path:
    """CUB_200_2011: three classes with images 1 to 12; 1, 2 and 3 of every four are to train on."""
    names = [f"{k + 1:03}.{name.replace(' ', '_').replace('/', '_')}" for k, name in enumerate(CLASSES)]
    root.mkdir(parents=True)
    rows = [(i, names[(i - 1) // 4], f"Bird_{100 - i}.jpg") for i in range(1, 13)]
    text(root / "classes.txt", [f"{k} {name}" for k, name in enumerate(names, start=1)])
    text(root / "images.txt", [f"{i} {name}/{file}" for i, name, file in rows])
    text(root / "image_class_labels.txt", [f"{i} {names.index(name) + 1}" for i, name, _ in rows])
    text(root / "train_test_split.txt", [f"{i} {int(i % 4 != 0)}" for i, _, _ in rows])
    for i, name, file in rows:
        photo(root / "images" / name / file, i)
    return root


def aircraft(root: Path) -> Path:
    """fgvc-aircraft-2013b: three variants with images 0000001 to 0000012 dealt to train, train, val and test."""
    data = root / "data"
    data.mkdir(parents=True)
    rows = [(f"{i:07}", CLASSES[(i - 1) // 4], ("test", "train", "train", "val")[i % 4]) for i in range(1, 13)]
    text(data / "variants.txt", list(CLASSES))
    for part in ("train", "val", "test", "trainval"):
        text(data / f"images_variant_{part}.txt", [f"{i} {name}" for i, name, where in rows if where in part])
    for i, _, _ in rows:
        photo(data / "images" / f"{i}.jpg", int(i), banner=20)
    return root


def car_rows(split: str) -> list[tuple[str, int, int]]:
    """(file, class from 1, colour) of three images a class to train on and one to test on."""
    each, first = (3, 1) if split == "train" else (1, 31)
    return [(f"{k + 1:05}.jpg", k % 3 + 1, first + k) for k in range(3 * each)]


def cars(root: Path, devkit: str = "devkit", folders: str = "cars_{split}") -> Path:
    """stanford_cars, with the test labels beside the devkit."""
    kit = root / devkit
    kit.mkdir(parents=True)
    scipy.io.savemat(kit / "cars_meta.mat", {"class_names": np.array([CLASSES], dtype=object)})
    annotate(kit / "cars_train_annos.mat", [(label, file) for file, label, _ in car_rows("train")])
    annotate(root / "cars_test_annos_withlabels.mat", [(label, file) for file, label, _ in car_rows("test")])
    for split in ("train", "test"):
        for file, _, number in car_rows(split):
            photo(root / folders.format(split=split) / file, number)
    return root


def annotate(
    path: Path, rows: list[tuple[object, ...]], fields: tuple[str, ...] = ("class", "fname"), **others: object
) -> None:
    """A struct array as in the devkit: 1 × n, boxes first; of `fields` only those that are named."""
    box = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
    entries = np.zeros((1, len(rows)), dtype=[(name, object) for name in (*box, *fields)])
    for i, row in enumerate(rows):
        entries[0, i] = (1, 1, 20, 20, *(np.uint8(x) if isinstance(x, int) else x for x in row))
    scipy.io.savemat(path, {"annotations": entries, **others})


def kaggle(root: Path) -> Path:
    """The same photos as `cars` in folders by class, with lists as .csv."""
    root.mkdir(parents=True)
    text(root / "names.csv", list(CLASSES))
    for split in ("train", "test"):
        with (root / f"anno_{split}.csv").open("w", newline="") as file:
            csv.writer(file).writerows((name, 1, 1, 20, 20, label) for name, label, _ in car_rows(split))
        for name, label, number in car_rows(split):
            photo(root / "car_data" / "car_data" / split / CLASSES[label - 1].replace("/", "-") / name, number)
    return root


def class_folders(root: Path) -> Path:
    """The same photos in folders by class, without a list."""
    for split in ("train", "test"):
        for name, label, number in car_rows(split):
            photo(root / "car_data" / split / CLASSES[label - 1].replace("/", "-") / name, number)
            (root / "car_data" / split / ".DS_Store").touch()
    return root


def one_folder(root: Path, folder: str = "car_ims") -> Path:
    """The same photos in one folder under numbers of their own, with cars_annos.mat."""
    rows = [(split, *row) for split in ("train", "test") for row in car_rows(split)]
    root.mkdir(parents=True)
    entries: list[tuple[object, ...]] = []
    for i, (split, _, label, number) in enumerate(rows, start=1):
        entries.append((f"car_ims/{i:06}.jpg", label, int(split == "test")))
        photo(root / folder / f"{i:06}.jpg", number)
    class_names = np.array([CLASSES], dtype=object)
    annotate(root / "cars_annos.mat", entries, ("relative_im_path", "class", "test"), class_names=class_names)
    return root


def own_folder(
    root: Path, splits: dict[str, int], classes: tuple[str, ...] = ("bolete", "morel"), first: int = 0
) -> Path:
    """A folder per class in each split's folder ("" for none), with so many photos; colours count from `first`."""
    number = first
    for split, count in splits.items():
        for name in classes:
            for i in range(count):
                photo(root / split / name / f"{i}.png", number)
                number += 1
    return root


def idx(path: Path, values: NDArray[np.uint8]) -> Path:
    """An idx file of bytes, as MNIST is published; gzipped where its name ends in .gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = bytes((0, 0, 8, values.ndim)) + np.array(values.shape, ">u4").tobytes() + values.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def text(path: Path, rows: list[str]) -> None:
    path.write_text("\n".join(rows) + "\n")


def edit(path: Path, row: int, new: str | None) -> None:
    """Replace a row, from 1, or drop it."""
    rows = path.read_text().splitlines()
    rows[row - 1 : row] = [] if new is None else [new]
    text(path, rows)
