"""CPU time: figures and tables show what was recorded, name the machine, and are left out where nothing was."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from bcnn_prune.deployment.registry import VARIANTS
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.records import deploy, latency
from bcnn_prune.records.latency import DENSE, SILENCED, RuntimeRecord, to_json
from tests.helpers import example_times
from tests.helpers.figure_layout import problems, texts
from thesis_figures import tables
from thesis_figures.analysis import runs, variants
from thesis_figures.analysis.runs import Spread
from thesis_figures.catalogue import figures
from thesis_figures.figures import runtimes
from thesis_figures.load import Measured
from thesis_figures.tables import formats
from thesis_figures.tables.runtimes import deployed, published

RECORD = example_times.record()


def test_every_way_has_a_name() -> None:
    assert set(variants.WAYS) == {DENSE, SILENCED, *VARIANTS}


def test_a_record_comes_back_from_its_file_and_nothing_else_does(tmp_path: Path) -> None:
    path = tmp_path / "cpu" / "runtimes.json"
    path.parent.mkdir()
    assert variants.runtimes(tmp_path) == ()
    path.write_text(to_json(RECORD))
    assert variants.runtimes(tmp_path) == (RECORD,)
    for text in ("", "[]", "{}", to_json(RECORD).replace('"version": 1', '"version": 9'), '{"version": 1, "x": []}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"runtimes\.json is no record of runtimes"):
            variants.runtimes(tmp_path)


def drawn(*records: RuntimeRecord) -> Figure:
    return figures(Measured(runtimes=records))["figure-runtimes"]()


def test_the_figure_shows_median_and_quartiles_of_every_way_and_batch() -> None:
    figure = drawn(RECORD)
    assert problems(figure) == []
    panels = [ax for ax in figure.axes if ax.axison]
    shown = [network for network in RECORD.networks if network.multiple == 1]
    assert len(panels) == len(shown) == 5  # what was rounded up is in the table
    rows = [label.get_text() for label in panels[0].get_yticklabels()]
    assert rows == [name for way, name in variants.WAYS.items() if way not in (DENSE, "openvino-bf16")]
    for ax, network in zip(panels, shown, strict=True):
        assert " ".join(ax.get_title().split()).startswith(f"{network.network} n = 14")
        assert ax.get_xscale() == "log"
        bars = [container for container in ax.containers if isinstance(container, ErrorbarContainer)]
        assert [bar.get_label() for bar in bars] == ["batch 1", "batch 8"]
        for batch, bar in zip((1, 8), bars, strict=True):
            ratios = [timing.speed_up for way, timing in variants.timings(network, batch).items() if way != DENSE]
            line, _, (spread,) = bar.lines
            assert line is not None
            assert list(line.get_xdata()) == [ratio.median for ratio in ratios]
            assert [round(float(y)) for y in line.get_ydata()] == list(range(len(ratios)))
            ends = [segment[:, 0].tolist() for segment in spread.get_segments()]
            np.testing.assert_allclose(ends, [[r.lower_quartile, r.upper_quartile] for r in ratios])
    text_shown = " ".join(text.get_text() for text in texts(figure))
    assert "A slow one (avx2 fma), 2 threads" in text_shown
    assert "n = 14 (batch 1), 7 (batch 8)" in text_shown


def test_a_runtime_that_has_no_label_is_shown_by_its_own_name_after_the_others() -> None:
    first = RECORD.networks[0]
    timed = replace(first.times, ways={**first.times.ways, "another": first.times.ways["onnx"]})
    record = replace(RECORD, networks=(replace(first, times=timed),))
    assert [label.get_text() for label in drawn(record).axes[0].get_yticklabels()][-1] == "another"
    assert [row["way"] for row in published([record]).rows][-1] == "another"
    report = example_times.report("drawn-cars50", {"torch": 180, "another": 176}, timed)
    assert [row["way"] for row in deployed([report]).rows][-1] == "another"


def test_two_machines_stand_side_by_side() -> None:
    """In every row of a panel, each with its own marks; the second has another order of networks, and bf16."""
    provenance = {**example_times.MACHINE, "instructions": "avx2 fma avx512f avx512_vnni avx512_bf16"}
    faster = [replace(one, provenance=provenance, times=example_times.times(3.0)) for one in RECORD.networks[::-1]]
    other = RuntimeRecord(tuple(one for one in faster if one.multiple == 1))
    figure = drawn(RECORD, other)
    assert problems(figure) == []
    panels = [ax for ax in figure.axes if ax.axison]
    assert len(panels) == 5
    for ax in panels:
        bars = [container for container in ax.containers if isinstance(container, ErrorbarContainer)]
        assert [str(bar.get_label()) for bar in bars] == [
            f"batch {batch}: {name}" for name in ("AVX2", "AVX-512, VNNI, bf16") for batch in (1, 8)
        ]
        assert len(bars[2].lines[0].get_xdata()) == len(bars[0].lines[0].get_xdata()) + 1  # bf16
    rows = published([RECORD, other]).rows
    assert [row["processor"] for row in rows] == ["AVX2"] * 96 + ["AVX-512, VNNI, bf16"] * 5 * 2 * 9


def test_markers_differ_without_colour() -> None:
    looks = [(marker, inside == colour) for machine in runtimes.LOOKS for colour, marker, inside in machine.values()]
    assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_networks_is_drawn_and_one_batch_size_too(count: int) -> None:
    network = example_times.network("one-shot, 60% cut", 0.4, batches=(1,))  # type: ignore[arg-type]
    networks = (replace(network, network=f"one-shot, {i}0% cut") for i in range(count))
    figure = drawn(RuntimeRecord(tuple(networks)))
    assert problems(figure) == []
    assert len([ax for ax in figure.axes if ax.axison]) == count


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    rounded = RuntimeRecord(tuple(network for network in RECORD.networks if network.multiple > 1))
    for records in ((), (rounded,)):
        assert set(figures(Measured(runtimes=records))) == set(figures(Measured()))
    assert variants.deployed(tmp_path) == []
    assert tables.measured_tables(Measured()) == []
    assert [table.name for table in tables.measured_tables(Measured(runtimes=(rounded,)))] == ["table-runtimes"]


def test_the_table_has_a_row_for_every_network_batch_and_way() -> None:
    table = published([RECORD])
    assert len(table.rows) == 6 * 2 * 8
    row = next(
        row
        for row in table.rows
        if (row["network"], row["multiple"], row["batch"], row["way"]) == ("one-shot, 80% cut", 1, 8, "OpenVINO int8")
    )
    network = next(network for network in RECORD.networks if network.network == "one-shot, 80% cut")
    timing = network.times.ways["openvino-int8"][1]
    cost = total_cost(network.spec, 224)
    assert (row["params"], row["gmacs"]) == (cost.params, cost.macs / 1e9)
    assert row["ms_median"] == timing.latency.median_ms
    assert row["speed_up_median"] == timing.speed_up.median == 12.5 / 0.2 * 0.9
    assert row["share_of_peak"] == pytest.approx(2 * 8 * 1e9 / (timing.latency.median_ms * 1e-3) / 100e9)
    assert (row["rounds"], row["load"]) == (7, 0.1)
    assert "OpenVINO bf16" not in formats.as_markdown(table)
    assert "A slow one (avx2 fma), 2 threads; images of 224 px" in table.notes[0]


def test_the_table_of_deployed_networks_is_over_networks() -> None:
    timed = example_times.times()
    reports = [
        example_times.report("drawn-cars50", {"torch": 180, "onnx-int8": 176, "openvino": 180}, timed),
        example_times.report("drawn-cars50", {"torch": 160, "onnx-int8": 162}, example_times.times(2.0)),
        example_times.report("cars", {"torch": 100}, None),
        replace(example_times.report("birds", {"torch": 10}, None), kept=("conv1_1", "classifier")),
    ]
    table = deployed(reports)
    rows = {(row["data_set"], row["way"]): row for row in table.rows}
    int8 = rows["drawn-cars50", "ONNX Runtime int8"]
    assert int8["networks"] == 2
    assert int8["accuracy_percent"] == Spread.of([88.0, 81.0])
    assert int8["change"] == Spread.of([-2.0, 1.0])
    assert int8["worst_change"] == -2.0
    assert int8["agreement_percent"] == Spread.of([97.5, 97.5])
    assert int8["speed_up_1"] == Spread.of([8.3, 16.6])
    assert int8["ms_8"] == Spread.of([1600 / (8.3 * 0.9), 1600 / (16.6 * 0.9)])
    assert rows["drawn-cars50", "OpenVINO fp32"]["networks"] == 1
    assert rows["drawn-cars50", "unpruned, eager"]["speed_up_1"] == Spread.of([1.0, 1.0])
    assert rows["cars", "rebuilt, eager"]["ms_1"] is None
    assert ("cars", "ONNX Runtime int8") not in rows
    assert "in some networks: conv1_1, classifier." in table.notes[-1]


def test_reports_of_deploying_lie_among_records_of_runs(tmp_path: Path) -> None:
    report = example_times.report("cars", {"torch": 100, "onnx": 99}, example_times.times())
    path = tmp_path / "deploy" / "cars" / "oneshot-prune0.4-seed0.json"
    path.parent.mkdir(parents=True)
    path.write_text(deploy.to_json(report))
    assert variants.deployed(tmp_path) == [report]
    assert runs.read(tmp_path) == {}
    path.write_text(json.dumps({"version": latency.VERSION}))
    with pytest.raises(ValueError, match=r"seed0\.json is no deploy report"):
        variants.deployed(tmp_path)
