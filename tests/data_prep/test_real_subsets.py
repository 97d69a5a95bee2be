"""On real images and the complete official lists, where they lie beside the project; skipped elsewhere."""

from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image
from torchvision.transforms.v2.functional import resize

from data_prep import aircraft, birds, cars
from data_prep.__main__ import main

SHARED = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="no real images beside the project")

SUBSETS = {"birds50": (birds, 1_500, 1_389), "aircraft20": (aircraft, 1_331, 669), "cars50": (cars, 1_338, 718)}


@pytest.mark.parametrize("name", SUBSETS)
def test_a_subset_is_listed_and_its_images_are_as_torchvision_resizes_them(name):
    reader, train, test = SUBSETS[name]
    names, examples = reader.examples(SHARED / name)
    assert len(names) == int(name.lstrip("abcdefghijklmnopqrstuvwxyz"))
    assert Counter(e.split for e in examples) == {"train": train, "test": test}
    for example in examples[:: len(examples) // 25]:
        photo = example.read.__self__
        with Image.open(photo.path) as image:
            frame = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
        assert example.source() == (frame.shape[2], frame.shape[1])
        assert photo.banner == (20 if reader is aircraft else 0)
        expected = resize(frame[:, : frame.shape[1] - photo.banner].float(), [48, 48], antialias=True).permute(1, 2, 0)
        assert (torch.from_numpy(example.read(48).astype(np.float32)) - expected).abs().max() < 4


def test_the_white_strip_of_the_aircraft_is_gone():
    _, examples = aircraft.examples(SHARED / "aircraft20")
    rows = np.stack([e.read(64)[-1].reshape(-1) for e in examples[::20]])
    assert (rows.min(axis=1) > 250).mean() < 0.05


def test_a_subset_is_written_whole(tmp_path):
    out = tmp_path / "birds50.h5"
    assert main(["birds", "--source", str(SHARED / "birds50"), "--subset", "--side", "32", "--out", str(out)]) == 0
    official = np.loadtxt(SHARED / "birds50/CUB_200_2011/train_test_split.txt", dtype=int)
    classes = np.loadtxt(SHARED / "birds50/CUB_200_2011/image_class_labels.txt", dtype=int)
    label_of = dict(classes.tolist())
    with h5py.File(out) as file:
        ids = {split: [int(id) for id in file[f"{split}/ids"].asstr()] for split in ("train", "val", "test")}
        for split, found in ids.items():
            assert_array_equal(file[f"{split}/labels"], [label_of[id] - 1 for id in found])
        means = file["train/images"][::50].mean((1, 2, 3))
    assert set(ids["test"]) == set(official[official[:, 1] == 0, 0].tolist())
    assert sorted(ids["train"] + ids["val"]) == official[official[:, 1] == 1, 0].tolist()
    assert len(ids["val"]) == 150
    assert means.std() > 10


def test_the_complete_list_of_birds():
    names, examples = birds.examples(SHARED / "annotations" / "CUB_200_2011")
    assert (len(names), names[0], names[-1]) == (200, "001.Black_footed_Albatross", "200.Common_Yellowthroat")
    assert Counter(e.split for e in examples) == {"train": 5_994, "test": 5_794}
    assert set(Counter(e.label for e in examples).values()) <= set(range(41, 61))


def test_the_complete_lists_of_cars():
    devkit = SHARED / "annotations" / "stanford_cars" / "devkit"
    rows = list(cars.annotations(devkit / "cars_train_annos.mat"))
    assert len({file for *_, file in rows}) == len(rows) == 8_144
    assert {label for _, label, _ in rows} == set(range(1, 197))
    assert rows[0][1:] == (14, "00001.jpg")
    with pytest.raises(ValueError, match=r"cars_test_annos.mat: its annotations lack class"):
        list(cars.annotations(devkit / "cars_test_annos.mat"))
    with pytest.raises(ValueError, match=r"stanford_cars/cars_test_annos_withlabels.mat is missing: .* put it there"):
        cars.examples(devkit.parent)
