"""Reports of deployed networks: what they count, and their files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bcnn_prune.deployment.compare import compare_logits
from bcnn_prune.records import Evaluation, Latency, SpeedUp
from bcnn_prune.records.deploy import DeployReport, VariantReport, read_report, to_json
from bcnn_prune.records.latency import Times, Timing
from tests.helpers.strategies import TINY

NARROW = replace(TINY, widths=(2,) * len(TINY.widths))


def test_a_report_counts_on_the_same_images() -> None:
    original = np.array([[2.0, 1.0], [0.0, 4.0], [3.0, -1.0]], np.float32)
    logits = np.array([[2.0, 3.0], [0.0, 4.0], [3.0, -1.0]], np.float32)
    report = compare_logits(logits, original, np.array([1, 0, 1]), size=5)
    assert report == VariantReport(bytes=5, test=Evaluation(3, 1), agreeing=2, largest_difference=0.5)
    assert report.agreement == 2 / 3


def test_a_report_comes_back_from_its_file(tmp_path: Path) -> None:
    variant = VariantReport(bytes=5, test=Evaluation(3, 2), agreeing=2, largest_difference=0.1)
    latency = Latency(2.0, 1.5, 2.5, rounds=3, batch=8, threads=2, load=0.5)
    times = Times(100.0, {"onnx": (Timing(10**9, latency, SpeedUp(4.0, 3.5, 4.5)),)})
    report = DeployReport(
        "ab", NARROW, TINY, "drawn-cars4", "cd", 16, 48, ("conv1_1",), True, {"onnx": variant}, times, {}
    )
    path = tmp_path / "deploy.json"
    for written in (replace(report, times=None), report):
        path.write_text(to_json(written))
        assert read_report(path) == written
    assert times.ways["onnx"][0].gflops == 8 * 2 / 2e-3  # billions: 8 images, 2 a multiply-add, in 2 ms
    assert times.share_of_peak(times.ways["onnx"][0]) == 80
    for text in (
        "",
        "[]",
        "{}",
        to_json(report).replace('"version": 2', '"version": 9'),
        to_json(report).replace("kept", "k"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"deploy.json is no deploy report"):
            read_report(path)
