"""Files of few bytes: what is read is what was written, bit for bit, and nothing else is read at all."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from bcnn_prune.compression.cluster import clustered, nearest
from bcnn_prune.compression.sparse import magnitude_pruned, weights_of
from bcnn_prune.compression.storage import LENGTHS, MAGIC, decode, encode, gaps, load, save
from bcnn_prune.metadata import ModelCard
from tests.helpers.strategies import TINY, assert_same_network, random_model
from thesis_figures.schematics import relative_index

CARD = ModelCard(TINY, ("a", "b", "c"), "own", 16)
SPARSE = arrays(
    np.float32, array_shapes(min_side=0), elements=st.sampled_from([0.0] * 12 + [-0.0, 1.5, np.inf, np.nan])
)
ANY = arrays(st.sampled_from([np.float64, np.float32, np.float16, np.int64]), array_shapes(min_dims=0, min_side=0))


@settings(max_examples=30)
@given(st.dictionaries(st.text(), st.one_of(ANY, SPARSE), max_size=3), st.text())
def test_what_is_decoded_is_what_was_encoded_bit_for_bit(arrays: dict[str, np.ndarray], about: str) -> None:
    found, told = decode(encode({name: torch.from_numpy(array) for name, array in arrays.items()}, about))
    assert told == about
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert (found[name].numpy().dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].numpy().tobytes() == array.tobytes()


@given(arrays(np.float32, st.integers(0, 60), elements=st.sampled_from([0.0] * 9 + [-2.0, 0.5])), st.integers(1, 6))
def test_relative_indices_are_those_of_the_thesis_figure(values: np.ndarray, bits: int) -> None:
    found, entries = gaps(values.view(np.uint32), bits)
    expected = relative_index.encode(values.astype(np.float64), bits)
    assert (found + 1).tolist() == [entry.gap for entry in expected]
    assert entries.view(np.float32).tolist() == [entry.value for entry in expected]


def test_a_sparse_clustered_network_survives_in_a_fraction_of_its_bytes(tmp_path: Path) -> None:
    model = clustered(magnitude_pruned(random_model(TINY).float(), 0.9), bits=5)
    save(tmp_path / "net.packed", model, CARD)
    read, card = load(tmp_path / "net.packed")
    assert card == CARD
    assert_same_network(read, model)
    assert (tmp_path / "net.packed").stat().st_size < 0.5 * sum(v.nbytes for v in model.state_dict().values())


def test_a_long_run_of_two_values_needs_a_bit_each() -> None:
    coin = torch.from_numpy(np.random.default_rng(0).choice([0.25, -3.0], 80_000).astype(np.float32))
    assert len(encode({"coin": coin})) <= 80_000 / 8 + 200


@pytest.mark.parametrize("told", [b"", zlib.compress(b"{}"), zlib.compress(b"[]"), zlib.compress(b'{"tensors": [3]}')])
def test_a_right_checksum_over_another_header_is_refused(told: bytes) -> None:
    with pytest.raises(ValueError, match="its header is none"):
        decode(MAGIC + LENGTHS.pack(len(told), zlib.crc32(told)) + told)


def test_damage_is_refused_with_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.packed"
    save(path, random_model(TINY), CARD)
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:9], b"x" + whole, whole[:-9] + bytes(9)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"net\.packed is no packed network, or it is damaged"):
            load(path)


@given(arrays(np.float64, st.integers(1, 50), elements=st.floats(-5, 5)), st.integers(1, 8))
def test_clusters_are_a_fixed_point_of_k_means(values: np.ndarray, clusters: int) -> None:
    found = nearest(values, clusters)
    centres = np.unique(found)
    assert len(centres) <= clusters
    for centre in centres:
        assert centre == pytest.approx(values[found == centre].mean(), abs=1e-9)
    assert (np.abs(values - found) <= np.abs(values[:, None] - centres).min(1) + 1e-9).all()


def test_clustering_bounds_the_values_of_each_tensor_and_keeps_zeros() -> None:
    model = magnitude_pruned(random_model(TINY), 0.5)
    for name, weight in weights_of(clustered(model, bits=2)).items():
        assert len(weight.unique()) <= 4
        assert torch.equal(weight == 0, weights_of(model)[name] == 0)
    with pytest.raises(ValueError, match="0 bits tell no values apart"):
        clustered(model, bits=0)
