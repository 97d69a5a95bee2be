"""The HDF5 file of a prepared image set: the one thing that data preparation and training share.

/                attributes: format, version, name, side, digest, per_class, source_widths, source_heights
/class_names     UTF-8 strings, (classes,)
/{split}/images  uint8 RGB, (n, side, side, 3), one image a chunk, uncompressed: read singly this is the fastest layout
/{split}/labels  int64, (n,), 0 to classes - 1
/{split}/ids     UTF-8 strings, (n,): the official id of each image
for split in train, val, test; val is cut from the official training images, test is the official one."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from bcnn_prune.records import DatasetInfo

FORMAT = "bcnn-prune image set"
VERSION = 1
SPLITS = ("train", "val", "test")


def describe(path: Path) -> DatasetInfo:
    """What the file says it holds, checked for form: version, types, shapes, labels in range, no split empty.

    Raises FileNotFoundError, or ValueError with the file and what is wrong. Pixels are not read: see `digest_of`."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: prepare it with python -m data_prep")
    try:
        with h5py.File(path) as file:
            return _described(file)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
    except OSError as error:
        raise ValueError(f"{path} is no HDF5 file, or it is damaged: prepare it again") from error


def _described(file: h5py.File) -> DatasetInfo:
    if file.attrs.get("format") != FORMAT:
        raise ValueError("not an image set of this project: prepare it with python -m data_prep")
    if file.attrs.get("version") != VERSION:
        raise ValueError(f"format version {file.attrs.get('version')}, this program reads {VERSION}: prepare it again")
    side, names = int(file.attrs["side"]), tuple(file["class_names"].asstr()[:])
    counts = {}
    for split in SPLITS:
        images, labels, ids = (file[f"{split}/{part}"] for part in ("images", "labels", "ids"))
        if images.shape != (len(labels), side, side, 3) or images.dtype != np.uint8 or len(ids) != len(labels):
            raise ValueError(
                f"{split} holds images {images.shape} {images.dtype} for {len(labels)} labels at side {side}"
            )
        if len(labels) == 0:
            raise ValueError(f"{split} holds no image")
        if labels[:].min() < 0 or labels[:].max() >= len(names):
            raise ValueError(f"{split} has a label outside 0 to {len(names) - 1}")
        counts[split] = len(labels)
    return DatasetInfo(
        name=str(file.attrs["name"]),
        side=side,
        class_names=names,
        images=counts,
        per_class=_pair(file, "per_class"),
        source_widths=_pair(file, "source_widths"),
        source_heights=_pair(file, "source_heights"),
        digest=str(file.attrs["digest"]),
    )


def _pair(file: h5py.File, name: str) -> tuple[int, int]:
    low, high = file.attrs[name]
    return int(low), int(high)


def digest_of(file: h5py.File) -> str:
    """SHA-256 over everything a run can see: class names, then for each split labels, ids and pixels, in order."""
    digest = hashlib.sha256("\0".join(file["class_names"].asstr()[:]).encode())
    for split in SPLITS:
        digest.update(file[f"{split}/labels"][:].astype("<i8").tobytes())
        digest.update("\0".join(file[f"{split}/ids"].asstr()[:]).encode())
        for image in file[f"{split}/images"]:
            digest.update(image.tobytes())
    return digest.hexdigest()


def create_split(file: h5py.File, split: str, labels: Sequence[int], ids: Sequence[str], side: int) -> h5py.Dataset:
    """Lay out one split and return its image dataset, still to be filled."""
    file[f"{split}/labels"] = np.asarray(labels, dtype=np.int64)
    file.create_dataset(f"{split}/ids", data=list(ids), dtype=h5py.string_dtype())
    shape = (len(labels), side, side, 3)
    return file.create_dataset(f"{split}/images", shape, np.uint8, chunks=(1, *shape[1:]))
