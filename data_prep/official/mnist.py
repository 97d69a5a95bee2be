"""List the examples of MNIST (LeCun et al. 1998) in its idx files, plain or gzipped.

Pixels are repeated in three equal channels: prepared sets hold RGB. A network with one image channel takes any."""

import gzip
import struct
import zlib
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bcnn_prune.files import require_file
from data_prep.examples import Example, Split
from data_prep.official.lists import require_folder

PREFIXES: dict[Split, str] = {"train": "train", "test": "t10k"}
CLASSES = tuple("0123456789")
TEST_IMAGES_PER_CLASS = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
"""Counted in the official test labels. Fashion-MNIST has files of the same names, with 1,000 of each class."""


def examples(source: Path) -> tuple[list[str], list[Example]]:
    """The ten digits, and the images of the files that are there: both splits or one.

    `source` is the folder of the idx files, or up to two above it. Raises ValueError with the file at fault."""
    require_folder(source)
    found: list[Example] = []
    for split, prefix in PREFIXES.items():
        images, labels = (_find(source, f"{prefix}-{kind}") for kind in ("images?idx3-ubyte", "labels?idx1-ubyte"))
        if images and labels:
            found += _split(images, labels, split)
        elif lonely := images or labels:
            raise ValueError(f"{lonely} is there without its {'labels' if images else 'images'}: add that file")
    if not found:
        raise ValueError(
            f"--source {source} is no folder of MNIST: looked in and below it for train-images-idx3-ubyte, "
            "t10k-images-idx3-ubyte and their labels, also with .gz"
        )
    return list(CLASSES), found


def _find(source: Path, name: str) -> Path | None:
    """The file, unpacked rather than gzipped; None where there is none. Some copies have a dot before idx."""
    for ending in ("", ".gz"):
        found = sorted({path for above in ("", "*/", "*/*/") for path in source.glob(f"{above}{name}{ending}")})
        # Windows unpacks x.gz as a folder x with a file x in it.
        found = [path for path in found if not path.is_dir()]
        if len(found) > 1:
            raise ValueError(f"--source {source} holds MNIST more than once: {', '.join(map(str, found))}; give one")
        if found:
            return found[0]
    return None


def _split(images_path: Path, labels_path: Path, split: Split) -> list[Example]:
    images, labels = read_idx(images_path, dimensions=3), read_idx(labels_path, dimensions=1)
    if len(images) != len(labels):
        raise ValueError(f"{images_path} holds {len(images):,} images, {labels_path} {len(labels):,} labels")
    counts = np.bincount(labels, minlength=len(CLASSES))
    if len(counts) > len(CLASSES):
        raise ValueError(f"{labels_path} has label {len(counts) - 1}: MNIST has 0 to 9")
    if split == "test" and len(labels) == sum(TEST_IMAGES_PER_CLASS) and tuple(counts) != TEST_IMAGES_PER_CLASS:
        raise ValueError(f"{labels_path} holds other labels than MNIST: prepare another set as a folder per class")
    height, width = images.shape[1:]
    return [
        Example(f"{PREFIXES[split]}/{number:05}", int(label), split, partial(_pixels, image), lambda: (width, height))
        for number, (image, label) in enumerate(zip(images, labels, strict=True))
    ]


def _pixels(digit: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """RGB of three equal channels, (side, side, 3), resized as photographs are."""
    image = Image.fromarray(digit).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(image.convert("RGB"))


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array in an idx file: two zero bytes, 8 for uint8, the number of dimensions, their sizes, then the values.

    Raises ValueError that names the file for another type or number of dimensions, and for a file that is damaged."""
    require_file(path)
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is no gzip file, or it is damaged: {error}") from error
    header = 4 + 4 * dimensions
    if content[:4] != bytes((0, 0, 8, dimensions)) or len(content) < header:
        raise ValueError(f"{path} is no idx file of bytes in {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) - header != np.prod(shape, dtype=object) or 0 in shape:
        raise ValueError(f"{path} is damaged: {shape} in its header, {len(content) - header:,} bytes after it")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
