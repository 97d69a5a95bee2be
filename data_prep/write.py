"""Write examples as the HDF5 file of a set: all of it, or nothing."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from bcnn_prune.data.format import FORMAT, SPLITS, VERSION, create_split, describe, digest_of
from bcnn_prune.datasets import DatasetName
from bcnn_prune.files import atomic_write, require_room
from bcnn_prune.records import DatasetInfo
from data_prep.examples import Example, check
from data_prep.threads import ThreadMap, thread_map

Report = Callable[[str, int, int], None]
"""Progress callback: the task, images done, images in all."""

BATCH = 64
"""Images decoded ahead of the writer: few enough for memory, enough for every core."""


def write(
    out: Path, name: DatasetName, side: int, class_names: Sequence[str], examples: Sequence[Example], report: Report
) -> DatasetInfo:
    """Write the set to `out`, every split in the order of its ids, and return its description as the file holds it.

    A file that is there is replaced at the end; until then, and after any error, it stays as it was. Raises ValueError
    for examples that are no sound set and for the first image that cannot be read, OSError where `out` cannot be
    written."""
    if side < 1:
        raise ValueError(f"side is {side}: take at least 1 pixel")
    check(class_names, examples)
    with _alone(out), thread_map() as run:
        require_room(out, len(examples) * (side * side * 3 + 100))
        widths, heights, unturned = zip(*_headers(examples, side, run, report), strict=True)
        counts = np.bincount([example.label for example in examples])
        with atomic_write(out) as partial:
            with _writing(partial, out) as file:
                file.create_dataset("class_names", data=list(class_names), dtype=h5py.string_dtype())
                _fill(file, side, examples, run, report)
                file.attrs.update(
                    format=FORMAT,
                    version=VERSION,
                    name=name.name,
                    family=name.family,
                    kind=name.kind,
                    side=side,
                    digest=digest_of(file),
                    per_class=(counts.min(), counts.max()),
                    source_widths=(min(widths), max(widths)),
                    source_heights=(min(heights), max(heights)),
                    unturned=sum(unturned),
                )
            return describe(partial)


def _fill(file: h5py.File, side: int, examples: Sequence[Example], run: ThreadMap, report: Report) -> None:
    done = 0
    for split in SPLITS:
        chosen = sorted((e for e in examples if e.split == split), key=lambda example: example.id)
        images = create_split(file, split, [e.label for e in chosen], [e.id for e in chosen], side)
        for start in range(0, len(chosen), BATCH):
            batch = chosen[start : start + BATCH]
            for position, pixels in enumerate(run(lambda example: _read(example, side), batch), start):
                images[position] = pixels
            done += len(batch)
            report("writing", done, len(examples))
        file.flush()  # while the dataset lives: what fails in its deallocation, h5py only prints


def _read(example: Example, side: int) -> NDArray[np.uint8]:
    pixels = example.read(side)
    # HDF5 would repeat a single row or channel to fill the image.
    if pixels.shape != (side, side, 3) or pixels.dtype != np.uint8:
        raise ValueError(f"image {example.id} came as {pixels.shape} {pixels.dtype}, not as ({side}, {side}, 3) uint8")
    return pixels


def _headers(examples: Sequence[Example], side: int, run: ThreadMap, report: Report) -> Iterator[tuple[int, int, bool]]:
    """Width, height and unapplied rotation of each source: a missing file is found before the set is decoded."""
    headers = run(lambda example: _header(example, side), examples)
    for done, header in enumerate(headers, start=1):
        if done % BATCH == 0 or done == len(examples):
            report("checking", done, len(examples))
        yield header


def _header(example: Example, side: int) -> tuple[int, int, bool]:
    width, height = example.source() if example.source else (side, side)
    return width, height, bool(example.unturned and example.unturned())


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the right to write `out`, waiting for any other process that has it."""
    if out.is_dir():
        raise ValueError(f"{out} is a folder: name a file")
    if out.exists() and not h5py.is_hdf5(out):
        raise FileExistsError(f"--out: {out} is no prepared set, and would be replaced: name another file")
    out.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(out.with_name(f".{out.name}.lock")):
        yield


@contextmanager
def _writing(partial: Path, out: Path) -> Iterator[h5py.File]:
    """The new file; where it cannot be written, an OSError that names `out` in one line and not in HDF5's several."""
    try:
        file = h5py.File(partial, "w")
        try:
            yield file
            file.flush()
        except BaseException:
            # Closing writes what is buffered even now, and crashes the program where the disk is full: make room.
            # Where that is not enough, or the file may not grow, what HDF5 still writes goes nowhere.
            os.truncate(partial, 0)
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, file.id.get_vfd_handle())
            os.close(nowhere)
            with suppress(OSError, RuntimeError):
                file.close()
            raise
        file.close()
    except (OSError, RuntimeError) as error:
        number = getattr(error, "errno", None)
        raise OSError(f"{out} cannot be written: {os.strerror(number) if number else error}") from error
