"""Names of data sets, and their family and kind as stored in the file, in the record, or in neither."""

import json
from dataclasses import replace

import h5py
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.data.format import describe
from bcnn_prune.datasets import OFFICIAL, DatasetName
from bcnn_prune.records import from_json, to_json
from data_prep.prepare import prepare_drawn
from experiments.recipes import automatic
from tests.helpers.explicit_records import run
from tests.helpers.small_sets import stripes

families, counts = st.sampled_from(sorted(OFFICIAL)), st.integers(1, 300)


@pytest.mark.parametrize(
    ("name", "family", "kind", "recipe"),
    [
        ("cars", "cars", "official", "thesis"),
        ("cars50", "cars", "subset", "small"),
        ("drawn-cars", "cars", "synthetic", "drawn"),
        ("drawn-cars50", "cars", "synthetic", "drawn"),  # these files hold three classes, whatever they are called
        ("cifar10", "cifar10", "own", "small"),
        ("drawn-cars50x10", "cars", "synthetic", "drawn"),
        ("drawn-boats", "drawn-boats", "own", "small"),
        ("drawn-cars50k", "drawn-cars50k", "own", "small"),
        ("cars50x10", "cars50x10", "own", "small"),
        ("cars-of-mine", "cars-of-mine", "own", "small"),
    ],
)
def test_a_prepared_file_holds_its_family_and_kind(tmp_path, name, family, kind, recipe) -> None:
    info = stripes(tmp_path / "set.h5", name, side=8, per_class=(4, 2, 1))
    assert (info.name, info.family, info.kind) == (name, family, kind)
    with h5py.File(tmp_path / "set.h5", "r+") as file:
        assert (file.attrs["family"], file.attrs["kind"]) == (family, kind)
        del file.attrs["family"], file.attrs["kind"]  # as files were before they held them
    assert describe(tmp_path / "set.h5") == info
    assert automatic(info) == recipe


@given(families, counts, counts)
def test_every_name_that_a_set_is_given_is_read_back(family: str, classes: int, images: int) -> None:
    for made in (
        DatasetName.official(family),
        DatasetName.subset(family, classes),
        DatasetName.synthetic(family, classes),
        DatasetName.synthetic(family, classes, images),
    ):
        assert DatasetName.parse(made.name) == made


def test_what_is_stored_counts_and_not_the_name(tmp_path) -> None:
    stripes(tmp_path / "set.h5", "drawn-cars3", side=8, per_class=(4, 2, 1))
    with h5py.File(tmp_path / "set.h5", "r+") as file:
        file.attrs.update(family="mine", kind="own")
    info = describe(tmp_path / "set.h5")
    assert (info.name, info.family, info.kind) == ("drawn-cars3", "mine", "own")
    record = replace(run(), data=info)
    assert from_json(to_json(record)) == record


def test_a_record_from_before_sets_had_a_family_is_read_as_its_name_told() -> None:
    record = run(data_set="drawn-birds50")
    fields = json.loads(to_json(record))
    assert (fields["data"].pop("family"), fields["data"].pop("kind")) == ("birds", "synthetic")
    assert from_json(json.dumps(fields)) == record
    fields["data"]["kind"] = "synthetic"
    with pytest.raises(ValueError, match=r"this is no run record: .* \$\.data"):
        from_json(json.dumps(fields))
    fields["data"] |= {"family": "birds", "kind": "painted"}
    with pytest.raises(ValueError, match=r"this is no run record: .* \$\.data"):
        from_json(json.dumps(fields))


def test_a_stored_kind_that_is_none_and_half_a_store_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="kind 'painted': it can be official, subset, synthetic, own"):
        DatasetName.stored("cars", "cars", "painted")
    with pytest.raises(ValueError, match="of family and kind the set cars has one"):
        DatasetName.stored("cars", None, "official")


def test_a_rendered_set_is_synthetic_and_of_its_family(tmp_path) -> None:
    info = prepare_drawn(DatasetName.synthetic("birds", 3), 16, tmp_path / "set.h5")
    assert (info.name, info.family, info.kind) == ("drawn-birds3", "birds", "synthetic")
