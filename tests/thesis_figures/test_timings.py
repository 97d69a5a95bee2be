"""CPU times as figure and table: names apart, ranks as by the formula, a row for each, and one line if broken."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bcnn_prune.records import Cost, Latency
from bcnn_prune.records.json_file import to_json
from bcnn_prune.records.network_latency import LAYOUTS, CpuTimes, Timed, read
from tests.helpers.figure_layout import problems, texts
from thesis_figures import catalogue, tables
from thesis_figures.figures import network_latency
from thesis_figures.load import Measured
from thesis_figures.tables import formats
from thesis_figures.tables.network_latency import table

MACHINE = {"cpu": "a processor", "threads": "2", "torch": "2.15"}
COSTS = {
    "BCNN": (66_103_556, 15_449_391_104),
    "BCNN −40 %": (29_377_694, 5_370_000_000),
    "BCNN −45 %": (5_809_175, 5_367_930_008),
    "BCNN −60 %": (8_265_491, 1_970_000_000),
    "BCNN −80 %": (1_204_831, 410_720_940),
    "VGG-16": (135_063_556, 15_466_971_136),
    "ResNet-50": (23_909_636, 4_087_537_664),
    "MobileNet V1": (3_407_876, 567_917_056),
    "MobileNet V2": (2_474_948, 299_745_152),
}


def timed(name: str, ms: float) -> Timed:
    latency = {
        layout: Latency(ms * factor, ms * factor * 0.97, ms * factor * 1.05, 10, 1, 2, 0.1)
        for layout, factor in zip(LAYOUTS, (1.0, 0.8), strict=True)
    }
    return Timed(name, "source", Cost(*COSTS[name]), 25_690_112, latency)


def by_macs(batch: int = 1) -> CpuTimes:
    networks = tuple(timed(name, 2 + macs / 8e7 * batch) for name, (_, macs) in COSTS.items())
    return CpuTimes(batch, 224, 196, networks, MACHINE)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_no_name_is_on_another_or_clipped(seed: int | None) -> None:
    milliseconds = [2 + macs / 8e7 for _, macs in COSTS.values()]
    if seed is not None:
        milliseconds = np.exp(np.random.default_rng(seed).uniform(1, 6, len(COSTS))).tolist()
    networks = tuple(timed(name, ms) for name, ms in zip(COSTS, milliseconds, strict=True))
    figure = network_latency.draw(replace(by_macs(), networks=networks))
    assert problems(figure) == []
    names = [text.get_text() for text in texts(figure)]
    assert all(names.count(name) == 2 for name in COSTS)


def test_the_correlation_is_of_ranks() -> None:
    """Spearman's ρ is 1 − 6 Σd² / (n³ − n) where all ranks differ."""
    times = by_macs()
    params, macs = np.array(list(COSTS.values())).T
    assert network_latency.correlation(times, lambda cost: cost.macs, "contiguous") == pytest.approx(1)
    d = params.argsort().argsort() - macs.argsort().argsort()
    expected = 1 - 6 * (d**2).sum() / (9**3 - 9)
    assert network_latency.correlation(times, lambda cost: cost.params, "channels-last") == pytest.approx(expected)
    titles = [ax.get_title() for ax in network_latency.draw(times).axes]
    assert f"{expected:.2f} contiguous" in titles[0]
    assert "1.00 contiguous, 1.00 channels-last (n = 9)" in titles[1]


def test_records_become_a_figure_a_batch_and_one_table(tmp_path: Path) -> None:
    for batch in (8, 1):
        (tmp_path / f"batch{batch}.json").write_text(to_json(by_macs(batch)))
    measurements = read(tmp_path)
    assert measurements == [by_macs(1), by_macs(8)]
    names = set(catalogue.figures(Measured(times=measurements))) - set(catalogue.figures(Measured()))
    assert names == {"figure-cpu-time-batch1", "figure-cpu-time-batch8"}
    made = table(measurements)
    assert len(made.rows) == 18
    line = next(row for row in formats.as_csv(made).splitlines() if row.startswith("8,MobileNet V2"))
    latency = by_macs(8).networks[-1].latency["channels-last"]
    assert f"{latency.median_ms:.12g}" in line.split(",")
    published = Path(__file__).parents[2] / "results" / "reference" / "thesis_results.csv"
    written = {path.name for path in tables.write(Measured(times=measurements), published, tmp_path / "out")}
    assert "table-cpu-time.tex" in written
    assert "table-cpu-time.tex" not in {path.name for path in tables.write(Measured(), published, tmp_path / "without")}


@pytest.mark.parametrize("content", ["no JSON", "{}", '{"batch": 1}'])
def test_what_holds_no_times_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "batch1.json").write_text(content)
    with pytest.raises(ValueError, match=r"batch1\.json is no file of CPU times"):
        read(tmp_path)
    assert read(tmp_path / "missing") == []
