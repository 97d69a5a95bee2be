import hashlib
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcnn_prune.data.format import SPLITS, describe, digest_of
from bcnn_prune.datasets import DatasetName
from data_prep.examples import Example
from data_prep.write import write

ROOT = Path(__file__).parents[2]
NAMES, PETS = ["ant", "bee"], DatasetName.own("pets")


class Flat:
    """Reads as an image of one value."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __call__(self, side: int) -> np.ndarray:
        return np.full((side, side, 3), self.value, np.uint8)


def examples(per_class: int = 3) -> list[Example]:
    keys = [(split, label, i) for split in SPLITS for label in range(2) for i in range(per_class)]
    return [
        Example(f"{split}{label}{i}", label, split, Flat(n), lambda n=n: (100 + n, 200 - n))
        for n, (split, label, i) in enumerate(keys)
    ]


def silent(doing: str, done: int, total: int) -> None:
    pass


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_what_is_written_is_what_was_given(tmp_path):
    out = tmp_path / "new" / "pets.h5"
    reported = []
    info = write(out, PETS, 5, NAMES, random.Random(1).sample(examples(), 18), lambda *call: reported.append(call))
    assert info == describe(out)
    assert (info.name, info.side, info.class_names) == ("pets", 5, ("ant", "bee"))
    assert (info.images, info.per_class) == ({"train": 6, "val": 6, "test": 6}, (9, 9))
    assert (info.source_widths, info.source_heights) == ((100, 117), (183, 200))
    with h5py.File(out) as file:
        assert digest_of(file) == info.digest
        given = {example.id: example for example in examples()}
        for split in SPLITS:
            ids = list(file[f"{split}/ids"].asstr())
            assert ids == sorted(id for id, example in given.items() if example.split == split)
            assert list(file[f"{split}/labels"]) == [given[id].label for id in ids]
            assert [image[2, 3, 1] for image in file[f"{split}/images"]] == [given[id].read.value for id in ids]
    assert reported == [("checking", 18, 18), ("writing", 6, 18), ("writing", 12, 18), ("writing", 18, 18)]
    assert left_in(out.parent) == ["pets.h5"]


def test_a_source_without_size_is_as_large_as_the_image(tmp_path):
    rendered = [Example(e.id, e.label, e.split, e.read) for e in examples()]
    info = write(tmp_path / "x.h5", PETS, 5, NAMES, rendered, silent)
    assert (info.source_widths, info.source_heights) == ((5, 5), (5, 5))


@settings(max_examples=10)
@given(st.randoms(use_true_random=False))
def test_the_digest_depends_on_the_content_and_not_on_the_order(tmp_path_factory, rng):
    folder = tmp_path_factory.mktemp("sets")
    given = examples()
    first = write(folder / "one.h5", PETS, 3, NAMES, given, silent)
    same = write(folder / "same.h5", PETS, 3, NAMES, rng.sample(given, len(given)), silent)
    assert first == same
    assert (folder / "one.h5").read_bytes() == (folder / "same.h5").read_bytes()
    position = rng.randrange(len(given))
    old = given[position]
    changed = rng.choice(
        [
            Example(old.id, old.label, old.split, Flat(99), old.source),
            Example(old.id + "x", old.label, old.split, old.read, old.source),
            Example(old.id, 1 - old.label, old.split, old.read, old.source),
            Example(old.id, old.label, "val" if old.split == "train" else "train", old.read, old.source),
        ]
    )
    second = write(folder / "other.h5", PETS, 3, NAMES, [*given[:position], changed, *given[position + 1 :]], silent)
    assert second.digest != first.digest
    assert write(folder / "other.h5", PETS, 3, ["ant", "wasp"], given, silent).digest != first.digest


def test_the_digest_is_what_the_format_says(tmp_path):
    info = write(tmp_path / "x.h5", PETS, 2, NAMES, examples(1), silent)
    expected = hashlib.sha256(b"ant\0bee")
    for i, split in enumerate(SPLITS):
        expected.update(bytes([0] * 8 + [1] + [0] * 7) + f"{split}00\0{split}10".encode())
        expected.update(bytes([2 * i] * 12 + [2 * i + 1] * 12))
    assert info.digest == expected.hexdigest()


class Failing(Flat):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, side: int) -> np.ndarray:
        raise self.error


@pytest.mark.parametrize("error", [ValueError("list line 3: x.jpg is broken"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("there_before", [True, False])
def test_whatever_stops_it_nothing_half_done_is_left(tmp_path, error, there_before):
    out = tmp_path / "pets.h5"
    if there_before:
        write(out, PETS, 3, NAMES, examples(), silent)
    before = out.read_bytes() if there_before else None
    broken = [*examples()[:-1], Example("zzz", 1, "test", Failing(error))]
    with pytest.raises(type(error)) as refusal:
        write(out, PETS, 3, NAMES, broken, silent)
    assert str(refusal.value) == str(error)
    assert left_in(tmp_path) == (["pets.h5"] if there_before else [])
    assert (out.read_bytes() if there_before else None) == before


@pytest.mark.parametrize("pixels", [np.zeros((3, 3), np.uint8), np.zeros((1, 3, 3), np.uint8), np.zeros((3, 3, 3))])
def test_pixels_of_another_shape_or_type_are_refused_and_not_stretched(tmp_path, pixels):
    broken = [*examples(), Example("zzz", 1, "test", lambda side: pixels)]
    with pytest.raises(ValueError, match="image zzz came as"):
        write(tmp_path / "x.h5", PETS, 3, NAMES, broken, silent)
    assert left_in(tmp_path) == []


def test_a_missing_image_is_found_before_any_is_decoded(tmp_path):
    def missing():
        raise ValueError("list line 3: x.jpg is missing")

    broken = [
        *(Example(e.id, e.label, e.split, Failing(AssertionError("decoded"))) for e in examples()),
        Example("zzz", 1, "test", Flat(0), missing),
    ]
    with pytest.raises(ValueError, match=r"x\.jpg is missing"):
        write(tmp_path / "x.h5", PETS, 3, NAMES, broken, silent)


@pytest.mark.parametrize("split", SPLITS)
def test_an_empty_split_is_refused_and_no_file_is_left(tmp_path, split):
    with pytest.raises(ValueError, match=f"no {split} image|{split} holds no image"):
        write(tmp_path / "x.h5", PETS, 3, NAMES, [e for e in examples() if e.split != split], silent)
    assert left_in(tmp_path) == []


def test_a_side_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="side is 0"):
        write(tmp_path / "x.h5", PETS, 0, NAMES, examples(), silent)


def test_a_folder_is_not_written_over(tmp_path):
    with pytest.raises(ValueError, match="is a folder: name a file"):
        write(tmp_path, PETS, 3, NAMES, examples(), silent)


def test_a_full_disk_is_told_before_and_while_writing(tmp_path, monkeypatch):
    out = tmp_path / "x.h5"
    full = Example("zzz", 1, "test", Failing(OSError(28, "file write failed: time = now\n, filename = ...")))
    with pytest.raises(OSError, match=rf"^{out} cannot be written: No space left on device$"):
        write(out, PETS, 3, NAMES, [*examples(), full], silent)
    disk = shutil.disk_usage(tmp_path)._replace(free=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk)
    with pytest.raises(OSError, match=rf"^the disk of {out} is full: 1 MB are needed and 0 MB are free$"):
        write(out, PETS, 100, NAMES, examples(), silent)
    assert left_in(tmp_path) == []


SLOW = """
import signal, sys, time
from pathlib import Path
from tests.data_prep.test_write import NAMES, PETS, examples, silent
from data_prep import write as writing
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
writing._read = lambda example, side, read=writing._read: time.sleep(0.2) or read(example, side)
writing.write(Path(sys.argv[1]), PETS, 3, NAMES, examples(200), silent)
"""


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_stopped_leaves_no_file_and_the_next_one_clears_up(tmp_path, stop):
    out = tmp_path / "pets.h5"
    command = [sys.executable, "-c", SLOW, str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT)
    try:
        end = time.monotonic() + 60
        while not list(tmp_path.glob("*.part")) and time.monotonic() < end:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(stop)
        assert process.wait(60) == -stop
    finally:
        process.kill()
        process.wait()
    assert not out.exists()
    assert len(list(tmp_path.glob("*.part"))) == (0 if stop == signal.SIGINT else 1)
    write(out, PETS, 3, NAMES, examples(), silent)
    assert left_in(tmp_path) == ["pets.h5"]
