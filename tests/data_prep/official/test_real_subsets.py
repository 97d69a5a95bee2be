"""On real images and the complete official lists, where they lie beside the project; skipped elsewhere."""

import shutil
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image
from torchvision.transforms.v2.functional import resize

from bcnn_prune.data.format import describe
from bcnn_prune.datasets import DatasetName
from data_prep import __main__ as data_prep_command
from data_prep.examples import cut
from data_prep.official import aircraft, birds, cars
from data_prep.official.subset import select
from tests.helpers.commands import exit_code
from tests.helpers.layouts import annotate

SHARED = Path(__file__).parents[4] / "shared" / "data"
LISTS = Path(__file__).parents[3] / "results" / "subsets"
SUBSETS = {"birds50": (birds, 1_500, 1_389), "aircraft20": (aircraft, 1_331, 669), "cars50": (cars, 1_338, 718)}
there = all((SHARED / name).is_dir() for name in SUBSETS)
pytestmark = pytest.mark.skipif(not there, reason="no real images beside the project")


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
    words = ("birds", "--source", SHARED / "birds50", "--subset", "--side", 32, "--out", out)
    assert exit_code(data_prep_command, *words) == 0
    official = np.loadtxt(SHARED / "birds50/CUB_200_2011/train_test_split.txt", dtype=int)
    classes = np.loadtxt(SHARED / "birds50/CUB_200_2011/image_class_labels.txt", dtype=int)
    label_of = dict(classes.tolist())
    with h5py.File(out) as file:
        ids = {split: [int(id) for id in file[f"{split}/ids"].asstr()] for split in ("train", "val", "test")}
        for split, split_ids in ids.items():
            assert_array_equal(file[f"{split}/labels"], [label_of[id] - 1 for id in split_ids])
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
    assert len({row.file for row in rows}) == len(rows) == 8_144
    assert {row.label for row in rows} == set(range(1, 197))
    assert (rows[0].label, rows[0].file) == (14, "00001.jpg")
    with pytest.raises(ValueError, match=r"cars_test_annos.mat: its annotations lack class"):
        list(cars.annotations(devkit / "cars_test_annos.mat"))
    with pytest.raises(ValueError, match=r"stanford_cars/cars_test_annos_withlabels.mat is missing: .* put it there"):
        cars.examples(devkit.parent)


DIGESTS = {
    "birds50": "c1bab04f950ef7cd4e952398f4b1a516381bfabb8e6ef3a17ca77328020512fe",
    "aircraft20": "2ec1ba91ef8fd8170a9037727e0207a7956bf9d792de3802f51c88d6319e7d75",
    "cars50": "3d3bb617c273e47340d1f917c0a6978bfbb1bd66c408bc18b897fb054c521543",
}
"""At 64 px, of the files that the results were made with."""


@pytest.mark.parametrize("name", DIGESTS)
def test_a_subset_gives_the_file_that_the_results_were_made_with(tmp_path, name):
    assert prepared(tmp_path, name, SHARED / name, "--subset") == (name, DIGESTS[name])


def test_the_lists_take_the_same_files_from_the_subsets_and_from_a_complete_set(tmp_path):
    source = tmp_path / "CUB_200_2011"
    shutil.copytree(SHARED / "annotations" / "CUB_200_2011", source)
    (source / "images").symlink_to(SHARED / "birds50" / "CUB_200_2011" / "images")
    birds50, aircraft20 = ["--only", str(LISTS / "birds50.csv")], ["--only", str(LISTS / "aircraft20.csv")]
    assert prepared(tmp_path, "birds50", source, *birds50) == ("birds50", DIGESTS["birds50"])
    aircraft = prepared(tmp_path, "aircraft20", SHARED / "aircraft20", "--subset", *aircraft20)
    assert aircraft == ("aircraft20", DIGESTS["aircraft20"])


def prepared(folder, name, source, *words):
    """Label and digest of the set, at 64 px."""
    family, out = DatasetName.parse(name).family, folder / f"{name}.h5"
    assert exit_code(data_prep_command, family, "--source", source, "--side", 64, "--out", out, *words) == 0
    return describe(out).name, describe(out).digest


def test_the_list_of_birds_fits_the_complete_official_lists():
    official_names, official = birds.examples(SHARED / "annotations" / "CUB_200_2011")
    names, examples = select(LISTS / "birds50.csv", official_names, official)
    assert names == official_names[:50]
    assert {(e.id, e.label, e.split.replace("val", "train")) for e in examples} == {
        (e.id, e.label, e.split) for e in official if e.label < 50
    }


def test_the_list_of_cars_names_official_training_images_in_the_splits_of_the_subset(tmp_path):
    devkit = tmp_path / "stanford_cars" / "devkit"
    shutil.copytree(SHARED / "annotations" / "stanford_cars" / "devkit", devkit)
    annotate(devkit.parent / "cars_test_annos_withlabels.mat", [(1, "00001.jpg")])
    official_names, official = cars.examples(devkit.parent)
    names, examples = select(LISTS / "cars50.csv", official_names, official)
    assert names == official_names[11:61]
    assert sorted(e.id for e in examples) == sorted(e.id for e in official if e.label in range(11, 61))
    subset_names, subset = cars.examples(SHARED / "cars50")
    assert names == subset_names
    assert {(e.id, e.label, e.split) for e in examples} == {
        (e.id.replace("cars_test/", "cars_train/"), e.label, e.split) for e in cut(subset, "val", 0.1, 0)
    }
