import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcnn_prune.data.format import describe
from tests.helpers.permissions import ordinary_user
from tests.helpers.small_sets import stripes


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a sound file: 3 classes, side 8, 4 + 2 + 2 images a class."""
    path = tmp_path_factory.mktemp("sound") / "set.h5"
    stripes(path, side=8, per_class=(4, 2, 2))
    return path.read_bytes()


def test_a_sound_file_is_described(tmp_path):
    info = stripes(tmp_path / "set.h5", name="drawn-cars3", side=8, per_class=(4, 2, 1))
    assert describe(tmp_path / "set.h5") == info
    assert (info.name, info.side, info.class_names) == ("drawn-cars3", 8, ("stripes 0", "stripes 1", "stripes 2"))
    assert (info.images, info.per_class) == ({"train": 12, "val": 6, "test": 3}, (7, 7))


def replaced(name, **dataset):
    def spoil(file):
        del file[name]
        file.create_dataset(name, **dataset)

    return spoil


def attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


def values(name, position, value):
    return lambda file: file[name].__setitem__(position, value)


def elsewhere(file):
    del file["train/images"]
    file["train/images"] = h5py.ExternalLink("other.h5", "images")


def outside(file):
    del file["val/labels"]
    file.create_dataset("val/labels", (6,), np.int64, external=[("outside.bin", 0, 48)])


def virtual(file):
    del file["test/images"]
    layout = h5py.VirtualLayout((6, 8, 8, 3), np.uint8)
    layout[:] = h5py.VirtualSource("other.h5", "images", (6, 8, 8, 3))
    file.create_virtual_dataset("test/images", layout)


def text(*rows):
    return {"data": list(rows), "dtype": h5py.string_dtype()}


FAULTS = {
    "another program's": (attribute("format", "ImageNet"), "not an image set of this project"),
    "unmarked": (lambda file: file.attrs.pop("format"), "not an image set of this project"),
    "a format of many": (attribute("format", ["a", "b"]), "not an image set of this project"),
    "a later version": (attribute("version", 2), "format version 2, this program reads 1: prepare it again"),
    "no version": (lambda file: file.attrs.pop("version"), "format version None"),
    "versions": (attribute("version", [1, 1]), "format version"),
    "no name": (lambda file: file.attrs.pop("name"), "lacks the attribute name"),
    "a path for a name": (attribute("name", "../../cars"), "the set is called '../../cars'"),
    "an empty name": (attribute("name", ""), "the set is called ''"),
    "no side": (lambda file: file.attrs.pop("side"), "lacks the attribute side"),
    "another side": (attribute("side", 9), r"train/images is \(12, 8, 8, 3\) uint8, not \(12, 9, 9, 3\) uint8"),
    "a side in words": (attribute("side", "wide"), "wide"),
    "sides": (attribute("side", [8, 8]), "set.h5: "),
    "an endless side": (attribute("side", np.inf), "infinity"),
    "no digest": (lambda file: file.attrs.pop("digest"), "lacks the attribute digest"),
    "one size": (attribute("source_widths", 8), "set.h5: "),
    "three sizes": (attribute("per_class", [1, 2, 3]), "set.h5: "),
    "no class names": (lambda file: file.pop("class_names"), "class_names is missing"),
    "numbers for names": (replaced("class_names", data=[1, 2, 3]), "class_names is .* int64, not"),
    "one class name": (replaced("class_names", data="a"), "class_names is"),
    "too few names": (replaced("class_names", **text("a", "b")), "train has a label outside 0 to 1"),
    "names that are no text": (lambda file: file["class_names"].write_direct(bad_text()), "utf-8"),
    "no val": (lambda file: file.pop("val"), "val/labels is missing"),
    "a group for labels": (lambda file: [file.pop("val/labels"), file.create_group("val/labels")], "labels is missing"),
    "a label too high": (values("val/labels", 0, 3), "val has a label outside 0 to 2"),
    "a negative label": (values("test/labels", 0, -1), "test has a label outside 0 to 2"),
    "labels with fractions": (replaced("val/labels", data=np.zeros(6)), "val/labels is .* float64, not .* int64"),
    "labels in a square": (replaced("val/labels", data=np.zeros((6, 1), np.int64)), "val/labels is"),
    "a split of nothing": (lambda file: empty(file, "val"), "val (holds no image|.*claims)"),
    "a label too few": (replaced("val/labels", data=np.zeros(5, np.int64)), "val/images is .* not .5, 8, 8, 3"),
    "an id too few": (replaced("val/ids", **text(*"abcde")), r"val/ids is \(5,\) object, not \(6,\) object"),
    "numbers for ids": (replaced("val/ids", data=np.arange(6)), "val/ids is"),
    "one image twice": (values("val/ids", 1, "val/0/000"), "image val/0/000 of val is held twice"),
    "one image in two splits": (values("test/ids", 1, "train/0/000"), "image train/0/000 of test is held twice"),
    "grey images": (replaced("val/images", data=np.zeros((6, 8, 8), np.uint8)), "val/images is"),
    "images of floats": (replaced("val/images", data=np.zeros((6, 8, 8, 3))), "val/images is .* float64, not"),
    "channels first": (replaced("val/images", data=np.zeros((6, 3, 8, 8), np.uint8)), "val/images is"),
    "an image never written": (
        replaced("val/images", shape=(6, 8, 8, 3), dtype=np.uint8, chunks=(1, 8, 8, 3)),
        "val/images claims 1,152 bytes and the file holds 0 of them",
    ),
    "a billion labels": (
        replaced("val/labels", shape=(10**12,), dtype=np.int64),
        "val/labels claims 8,000,000,000,000 bytes and the file holds 0",
    ),
    "a bomb of labels": (
        replaced("val/labels", data=np.zeros(10**6, np.int64), chunks=(10**6,), compression="gzip"),
        "val/labels claims 8,000,000 bytes and the file holds",
    ),
    "images of another file": (elsewhere, "train/images (is missing|claims)"),
    "labels outside the file": (outside, "val/labels claims"),
    "images put together": (virtual, "test/images claims"),
}


def bad_text():
    return np.array([b"\xff\xfe", b"b", b"c"], dtype=object)


def empty(file, split):
    for part in ("labels", "ids", "images"):
        shape, dtype = file[f"{split}/{part}"].shape, file[f"{split}/{part}"].dtype
        replaced(f"{split}/{part}", shape=(0, *shape[1:]), dtype=dtype)(file)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_is_not_as_it_should_be_is_refused_in_one_line(tmp_path, whole, fault):
    path = tmp_path / "set.h5"
    path.write_bytes(whole)
    (tmp_path / "outside.bin").write_bytes(bytes(48))
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["images"] = np.zeros((12, 8, 8, 3), np.uint8)
    spoil, problem = FAULTS[fault]
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(ValueError, match=problem) as refusal:
        describe(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


@settings(max_examples=60)
@given(st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused(tmp_path_factory, whole, share):
    path = tmp_path_factory.mktemp("cut") / "set.h5"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="no HDF5 file, or it is damaged: prepare it again"):
        describe(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(900)])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "set.h5").write_bytes(content)
    with pytest.raises(ValueError, match=r"set.h5 is no HDF5 file, or it is damaged: prepare it again"):
        describe(tmp_path / "set.h5")


def test_a_missing_file_is_told_how_to_make_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"does not exist: prepare it with python -m data_prep"):
        describe(tmp_path / "nowhere.h5")
    with pytest.raises(IsADirectoryError, match="is a folder: name the file in it"):
        describe(tmp_path)


def test_a_file_that_may_not_be_read_is_not_called_damaged(whole):
    with ordinary_user() as home:
        path = home / "set.h5"
        path.write_bytes(whole)
        describe(path)
        path.chmod(0)
        with pytest.raises(PermissionError, match=r"set.h5 may not be read by you"):
            describe(path)
