"""Batches: each image once, in the order of the file or of the seed."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.data.batches import ImageSplit, StreamedSplit, read_split
from bcnn_prune.data.format import describe
from bcnn_prune.data.loader import LoaderSplit, checked
from bcnn_prune.spec import ModelSpec
from tests.helpers.small_sets import stripes


def numbered(count: int) -> ImageSplit:
    labels = torch.arange(count)
    return ImageSplit(labels.to(torch.uint8).reshape(-1, 1, 1, 1).expand(count, 3, 16, 16), labels)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 99))
def test_every_image_comes_once_with_its_label(count: int, size: int, seed: int) -> None:
    for generator in (None, torch.Generator().manual_seed(seed)):
        batches = list(numbered(count).batches(size, generator))
        assert [len(labels) for _, labels in batches[:-1]] == [size] * (len(batches) - 1)
        labels = torch.cat([labels for _, labels in batches])
        assert sorted(labels.tolist()) == list(range(count))
        assert all(torch.equal(images[:, 0, 0, 0].long(), labels) for images, labels in batches)
        if generator is None:
            assert labels.tolist() == list(range(count))


def test_the_order_is_the_seeds() -> None:
    orders = [
        [labels.tolist() for _, labels in numbered(40).batches(7, torch.Generator().manual_seed(seed))]
        for seed in (5, 5, 6)
    ]
    assert orders[0] == orders[1] != orders[2]


def test_taking_draws_without_replacement() -> None:
    taken = numbered(30).take(12, torch.Generator().manual_seed(0))
    assert len(taken) == len(set(taken.labels.tolist())) == 12
    assert len(numbered(5).take(12, torch.Generator())) == 5


def test_a_loader_gives_its_first_images_or_draws_from_all() -> None:
    whole = numbered(30)
    read = list[int]()

    class Loader:
        def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            for images, labels in whole.batches(7):
                read.append(len(labels))
                yield images, labels

    loader = LoaderSplit(Loader(), ModelSpec("small-cnn", (4, 4, 4, 4), 30, "flatten", side=16), torch.device("cpu"))
    assert loader.take(10).labels.tolist() == list(range(10))
    assert sum(read) == 14
    drawn = loader.take(12, torch.Generator().manual_seed(0)).labels.tolist()
    assert drawn == whole.take(12, torch.Generator().manual_seed(0)).labels.tolist()


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_is_read_as_the_file_holds_it(split: str, tmp_path: Path) -> None:
    stripes(tmp_path / "set.h5")
    read = read_split(tmp_path / "set.h5", split, torch.device("cpu"))
    with h5py.File(tmp_path / "set.h5") as file:
        assert (read.images.permute(0, 2, 3, 1).numpy() == file[f"{split}/images"][:]).all()
        assert read.labels.tolist() == file[f"{split}/labels"][:].tolist()
    assert read.images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_batches_are_those_from_memory(workers: int, tmp_path: Path) -> None:
    path = tmp_path / "set.h5"
    stripes(path)
    memory = read_split(path, "train", torch.device("cpu"))
    stream = StreamedSplit(path, "train", describe(path).digest, torch.device("cpu"), workers)
    assert (len(stream), stream.side) == (len(memory), memory.side)
    before = torch.random.get_rng_state()
    for seed in (None, 3):
        pairs = [split.batches(7, seed and torch.Generator().manual_seed(seed)) for split in (memory, stream)]
        for (images, labels), (streamed, same_labels) in zip(*pairs, strict=True):
            assert torch.equal(images, streamed)
            assert torch.equal(labels, same_labels)
            assert streamed.is_contiguous(memory_format=torch.channels_last)
        taken = [split.take(5, seed and torch.Generator().manual_seed(seed)) for split in (memory, stream)]
        assert torch.equal(taken[0].images, taken[1].images)
        assert torch.equal(taken[0].labels, taken[1].labels)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_file_that_was_prepared_anew_is_not_read_with_the_labels_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "set.h5"
    stripes(path)
    stream = StreamedSplit(path, "train", describe(path).digest, torch.device("cpu"), workers=0)
    next(stream.batches(7))
    stripes(path, per_class=(25, 8, 8))
    for read in (lambda: next(stream.batches(7)), lambda: stream.take(3)):
        with pytest.raises(ValueError, match=f"^{path} was replaced while it was in use: start the same command again"):
            read()


def test_labels_that_are_no_tensor_are_refused() -> None:
    with pytest.raises(ValueError, match="a batch holds Tensor, list: take a tensor of images and one of labels"):
        checked((numbered(2).images, [0, 1]), ModelSpec("small-cnn", (4, 4, 4, 4), 2, "average"))  # type: ignore[arg-type]
