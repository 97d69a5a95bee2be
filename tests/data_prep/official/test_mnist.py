"""MNIST's idx files: plain, gzipped, a split alone, and what is none."""

from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from torchvision.datasets.mnist import read_image_file, read_label_file

from bcnn_prune.data.format import SPLITS, describe
from bcnn_prune.datasets import DatasetName
from data_prep import __main__ as data_prep_command
from data_prep.official.mnist import TEST_IMAGES_PER_CLASS, examples, read_idx
from tests.helpers.commands import exit_code
from tests.helpers.layouts import idx

SHARED = Path(__file__).parents[4] / "shared" / "data" / "mnist10k"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def digits(root, prefixes=("train", "t10k"), ending="", labels=None):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10, dtype=np.uint8), 12) if labels is None else np.asarray(labels, np.uint8)
    for prefix in prefixes:
        idx(root / f"{prefix}-images-idx3-ubyte{ending}", rng.integers(256, size=(len(labels), 28, 28), dtype=np.uint8))
        idx(root / f"{prefix}-labels-idx1-ubyte{ending}", labels)
    return root


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("given", [".", "..", "../.."])
def test_both_splits_are_read_as_torchvision_reads_them(tmp_path, ending, given):
    root = digits(tmp_path / "MNIST" / "raw", ending=ending)
    names, found = examples(root / given)
    plain = digits(tmp_path / "plain")
    assert names == list("0123456789")
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images = read_image_file(str(plain / f"{prefix}-images-idx3-ubyte")).numpy()
        labels = read_label_file(str(plain / f"{prefix}-labels-idx1-ubyte")).numpy()
        chosen = [e for e in found if e.split == split]
        assert [e.label for e in chosen] == labels.tolist()
        assert [e.id for e in chosen[:2]] == [f"{prefix}/00000", f"{prefix}/00001"]
        for example, image in zip(chosen, images, strict=True):
            assert_array_equal(example.read(28), np.repeat(image[..., None], 3, axis=2))
            assert example.source() == (28, 28)


@pytest.mark.parametrize("word", ["digits", "mnist"])
def test_the_test_file_alone_is_cut_into_three(tmp_path, capsys, word):
    root = digits(tmp_path / "mnist", ("t10k",), labels=np.repeat(np.arange(10), 100))
    assert exit_code(data_prep_command, word, "--source", root) == 2
    assert "lists 10 classes, 0 training and 1,000 test images" in capsys.readouterr().err
    assert exit_code(data_prep_command, word, "--source", root, "--subset") == 0
    info = describe(Path("data/mnist1k.h5"))
    assert (info.name, info.family, info.kind, info.side) == ("mnist1k", "mnist", "subset", 28)
    assert info.images == {"train": 720, "val": 80, "test": 200}
    assert DatasetName.parse("mnist1k") == DatasetName.subset("mnist", 10, 1_000)
    with h5py.File("data/mnist1k.h5") as file:
        for split in SPLITS:
            assert set(Counter(file[f"{split}/labels"][:].tolist()).values()) == {info.images[split] // 10}
        assert (np.ptp(file["train/images"][:], axis=3) == 0).all()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda root: (root / "t10k-labels-idx1-ubyte").unlink(), "t10k-images-idx3-ubyte is there without its labels"),
        (lambda root: (root / "t10k-images-idx3-ubyte").write_bytes(b"x"), "t10k-images-idx3-ubyte is no idx file"),
        (lambda root: (root / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x09x"), "is damaged: "),
        (lambda root: idx(root / "train-labels-idx1-ubyte", np.zeros(5, np.uint8)), "120 images, .* 5 labels"),
        (lambda root: idx(root / "train-labels-idx1-ubyte", np.full(120, 11, np.uint8)), "has label 11"),
        (lambda root: idx(root / "raw" / "t10k-labels-idx1-ubyte", np.zeros(5, np.uint8)), "MNIST more than once"),
    ],
)
def test_a_fault_is_refused_with_its_file(tmp_path, change, problem):
    root = digits(tmp_path / "mnist")
    change(root)
    with pytest.raises(ValueError, match=problem) as refusal:
        examples(root)
    assert str(tmp_path) in str(refusal.value)


def test_a_damaged_gzip_file_is_named(tmp_path):
    path = idx(tmp_path / "x.gz", np.arange(100, dtype=np.uint8))
    whole = path.read_bytes()
    for content in (whole[:-9], b"x", whole[:20] + bytes(20) + whole[40:]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"x.gz is no gzip file, or it is damaged"):
            read_idx(path, 1)


def test_fashion_mnist_does_not_pass_for_mnist(tmp_path):
    root = digits(tmp_path / "fashion", ("t10k",), labels=np.repeat(np.arange(10), 1_000))
    with pytest.raises(ValueError, match="holds other labels than MNIST"):
        examples(root)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no real images beside the project")
def test_the_official_test_file():
    names, found = examples(SHARED)
    assert tuple(Counter(e.label for e in found)[label] for label in range(10)) == TEST_IMAGES_PER_CLASS
    assert [names[e.label] for e in found[:5]] == list("72104")
    assert DatasetName.subset("mnist", len(names), len(found)).name == "mnist10k"
