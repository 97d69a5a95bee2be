"""The file that a run with a budget of milliseconds ends with."""

from pathlib import Path

import pytest
import torch

from bcnn_prune.deployment.registry import open_any
from experiments.run import clock, shipped
from experiments.run.checkpoint import split_of
from tests.deployment.conftest import Trained
from tests.helpers.timing import opened_here


def test_the_file_holds_the_network_in_int8_and_its_counts_are_those_of_test(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "timed_apart", opened_here)
    val, test = (split_of(trained.data, name) for name in ("val", "test"))
    path = tmp_path / shipped.file_name("onnx-int8")
    torch.set_num_threads(1)
    counted, latency = shipped.write(path, trained.model, trained.info.card, val, test)
    assert (counted.images, counted.accuracy) == (len(test), 1)
    assert latency.median_ms > 0
    assert open_any(path, 1).card == trained.info.card
    assert b"QuantizeLinear" in path.read_bytes()
    told = shipped.in_words(path.name, 2, counted, latency)
    assert told.startswith(f"model-int8.onnx: {latency.median_ms:.2f} ms")
    assert "of 2 asked for" in told
