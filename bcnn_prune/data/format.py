"""The HDF5 file of a prepared image set: the one thing that data preparation and training share.

/                attributes: format, version, name, family, kind, side, digest, per_class, source_widths,
                 source_heights, unturned
/class_names     UTF-8 strings, (classes,)
/{split}/images  uint8 RGB, (n, side, side, 3), one image a chunk, uncompressed: read singly this is the fastest layout
/{split}/labels  int64, (n,), 0 to classes - 1
/{split}/ids     UTF-8 strings, (n,): the official id of each image
for split in train, val, test; val is cut from the official training images, test is the official one."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bcnn_prune.datasets import VALID_NAME, DatasetName
from bcnn_prune.files import require_file
from bcnn_prune.records import DatasetInfo

FORMAT = "bcnn-prune image set"
VERSION = 1
SPLITS = ("train", "val", "test")


def describe(path: Path) -> DatasetInfo:
    """The file's own description, checked for form: version, types, shapes, labels in range, every image in one split.

    Raises OSError where there is no file that may be read, or ValueError with the file and what is wrong. Pixels are
    not read: see `digest_of`."""
    require_file(path, "prepare it with python -m data_prep")
    try:
        with h5py.File(path) as file:
            return _described(file)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{path}: {error}") from error
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path} is no HDF5 file, or it is damaged: prepare it again") from error


def unturned(path: Path) -> int:
    """Images of a sound file that came from photographs that note a rotation (EXIF) and were read without it."""
    with h5py.File(path) as file:
        return int(file.attrs.get("unturned", 0))  # older files do not tell


def _described(file: h5py.File) -> DatasetInfo:
    if str(file.attrs.get("format")) != FORMAT:
        raise ValueError("not an image set of this project: prepare it with python -m data_prep")
    if str(file.attrs.get("version")) != str(VERSION):
        raise ValueError(f"format version {file.attrs.get('version')}, this program reads {VERSION}: prepare it again")
    name, side = str(_attribute(file, "name")), int(_attribute(file, "side"))
    family, kind = (str(file.attrs[key]) if key in file.attrs else None for key in ("family", "kind"))
    stored = DatasetName.stored(name, family, kind)
    for told in (stored.name, stored.family):
        if not re.fullmatch(VALID_NAME, told, re.ASCII):
            raise ValueError(
                f"the set is called {told!r}: a name becomes part of file names, so letters, digits, . _ -"
            )
    class_names = tuple(_dataset(file, "class_names", h5py.string_dtype(), ("n",)).asstr()[:])
    counts, seen = {}, set[str]()
    for split in SPLITS:
        labels = _dataset(file, f"{split}/labels", np.dtype(np.int64), ("n",))[:]
        counts[split] = len(labels)
        if len(labels) == 0:
            raise ValueError(f"{split} holds no image")
        if labels.min() < 0 or labels.max() >= len(class_names):
            raise ValueError(f"{split} has a label outside 0 to {len(class_names) - 1}")
        _dataset(file, f"{split}/images", np.dtype(np.uint8), (len(labels), side, side, 3))
        for id in _dataset(file, f"{split}/ids", h5py.string_dtype(), (len(labels),)).asstr()[:]:
            if id in seen:
                raise ValueError(f"image {id} of {split} is held twice")
            seen.add(id)
    return DatasetInfo(
        name=name,
        family=stored.family,
        kind=stored.kind,
        side=side,
        class_names=class_names,
        images=counts,
        per_class=_pair(file, "per_class"),
        source_widths=_pair(file, "source_widths"),
        source_heights=_pair(file, "source_heights"),
        digest=str(_attribute(file, "digest")),
    )


def _dataset(file: h5py.File, name: str, dtype: np.dtype[Any], shape: tuple[int | str, ...]) -> h5py.Dataset:
    """The dataset, if it is of this type and shape, where "n" stands for any length, and all of it lies in this file.

    HDF5 would let a file of a few bytes claim terabytes that it never stored, or take them from elsewhere."""
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{name} is missing")
    fits = len(found.shape or ()) == len(shape) and all(
        want in ("n", is_) for want, is_ in zip(shape, found.shape, strict=True)
    )
    if not fits or found.dtype != dtype:
        raise ValueError(f"{name} is {found.shape} {found.dtype}, not {shape} {dtype}")
    stored, claimed = found.id.get_storage_size(), found.size * found.id.get_type().get_size()
    if stored < claimed or found.file.filename != file.filename or found.external:
        raise ValueError(f"{name} claims {claimed:,} bytes and the file holds {stored:,} of them: prepare it again")
    return found


def _attribute(file: h5py.File, name: str) -> Any:
    if name not in file.attrs:
        raise ValueError(f"it lacks the attribute {name}")
    return file.attrs[name]


def _pair(file: h5py.File, name: str) -> tuple[int, int]:
    low, high = _attribute(file, name)
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
