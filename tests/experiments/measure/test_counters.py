"""Counters: every difference explained exactly or called unexplained, and the field's published costs."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bcnn_prune.evaluation.cost import cost_lines, file_bytes, peak_activation_bytes, total_cost
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.records import Cost
from bcnn_prune.records.counters import PACKAGES, UNEXPLAINED, Excess, file_of, read_counters
from bcnn_prune.spec import ModelSpec
from experiments.measure import counters, other_counters
from experiments.measure.counters import Settings
from experiments.measure.other_counters import COUNTERS
from experiments.run import cli
from tests.helpers.strategies import TINY
from thesis_figures.analysis import reference

PUBLISHED = Path(__file__).parents[3] / "results" / "reference" / "thesis_results.csv"
COMMITTED = Path(__file__).parents[3] / "results" / "cost"
SIDE = 32
NARROW = ModelSpec("vgg13", (2, 7, 3, 5, 4, 1, 6, 2, 3, 7), classes=11)


def need(counter: str) -> None:
    if counter != "FlopCounterMode":
        pytest.importorskip(counter.split(",")[0])


@pytest.mark.parametrize("counter", COUNTERS)
def test_excesses_of_single_steps_add_up_to_the_difference_of_a_network(counter: str) -> None:
    need(counter)
    excesses = {kind: other_counters.excess_of(counter, step) for kind, step in other_counters.steps().items()}
    for spec in (TINY, replace(TINY, batch_norm=False), NARROW):
        cost, ours = (
            other_counters.count_cost(counter, BilinearCNN(spec), torch.zeros(1, 3, SIDE, SIDE)),
            total_cost(spec, SIDE),
        )
        reason = other_counters.explain(cost_lines(spec, SIDE), excesses, cost.macs - ours.macs)
        assert reason != UNEXPLAINED
        amounts = [int(amount.replace(",", "")) for amount in re.findall(r" ([+-][\d,]+) \(", reason)]
        assert sum(amounts) == cost.macs - ours.macs
        assert len(amounts) == reason.count("(")
        assert cost.params == ours.params


def test_flop_counter_mode_agrees_with_us_on_every_step() -> None:
    assert {other_counters.excess_of("FlopCounterMode", step) for step in other_counters.steps().values()} == {
        Excess(0, "macs"),
        Excess(0, "outputs"),
    }


@pytest.mark.parametrize(
    ("counter", "kind", "expected"),
    [
        ("fvcore", "bn", Excess(2, "outputs")),
        ("thop", "pooling", Excess(-1, "macs")),
        ("ptflops, pytorch", "relu", Excess(2, "outputs")),
        ("ptflops, aten", "conv bias", Excess(1, "outputs")),
        ("torchinfo", "bn", Excess(1, "params")),
    ],
)
def test_excesses_are_those_of_the_counters_source_code(counter: str, kind: str, expected: Excess) -> None:
    need(counter)
    assert other_counters.excess_of(counter, other_counters.steps()[kind]) == expected


def test_every_kind_of_step_is_measured_alone() -> None:
    assert {other_counters.kind_of(name) for name in cost_lines(TINY, SIDE)} == set(other_counters.steps())


def test_a_difference_that_does_not_add_up_is_unexplained(monkeypatch: pytest.MonkeyPatch) -> None:
    lines, elements = cost_lines(TINY, SIDE), 0
    excesses: dict[str, Excess | None] = {kind: Excess(0, "outputs") for kind in other_counters.steps()}
    excesses["relu"] = Excess(1, "outputs")
    elements = sum(line.outputs for name, line in lines.items() if name.startswith("relu"))
    assert other_counters.explain(lines, excesses, elements) == f"relu {elements:+,} (1 per output element)"
    assert other_counters.explain(lines, excesses, elements + 1) == UNEXPLAINED
    assert other_counters.explain(lines, {**excesses, "root": None}, elements) == UNEXPLAINED

    def odd(network: torch.nn.Module, images: torch.Tensor) -> Cost:
        return Cost(0, 7)  # of 240 elements without a parameter

    monkeypatch.setitem(COUNTERS, "odd", odd)
    assert other_counters.excess_of("odd", other_counters.steps()["relu"]) is None


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("VGG-16", 138_357_544, 15_470_264_320),  # Simonyan and Zisserman: 138 M; 15.47 G as commonly given
        ("ResNet-50", 25_557_032, 4_089_184_256),  # 25.6 M, 4.09 G
        ("MobileNet V1", 4_231_976, 568_740_352),  # Howard et al., table 4: 4.2 M, 569 M
        ("MobileNet V2", 3_504_872, 300_774_272),  # Sandler et al., table 4: 3.4 M, 300 M
    ],
)
def test_the_fields_networks_have_their_published_cost_with_imagenets_classes(
    name: str, params: int, macs: int
) -> None:
    assert counters.peer(name, classes=1000, side=224).cost == Cost(params, macs)


def test_the_networks_are_the_unpruned_one_and_published_ones() -> None:
    rows = reference.read(PUBLISHED)
    specs = counters.networks(rows)
    assert total_cost(specs["unpruned"], 224).params == 66_103_556
    assert total_cost(specs["pruned 45 %"], 224).params == 5_809_175
    assert total_cost(specs["pruned 80 %"], 224).params == 1_204_831
    with pytest.raises(ValueError, match=r"the published rows of cars lack the widths of table 4\.7, 45%"):
        counters.networks(row for row in rows if row.table != "4.7")


def command(*arguments: str) -> None:
    cli.run(counters.main, Settings, counters.__doc__, arguments)


def test_the_command_writes_a_record_and_prints_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in PACKAGES:
        pytest.importorskip(package)
    specs = {"unpruned": TINY, "pruned 45 %": replace(TINY, widths=(2,) * 8)}
    monkeypatch.setattr(counters, "networks", lambda rows: specs)
    monkeypatch.setattr(counters, "PEERS", {"MobileNet V2": "mobilenetv2_100"})
    command("--out", str(tmp_path), "--published", str(PUBLISHED))
    comparison = read_counters(file_of(tmp_path))
    assert [(count.network, count.counter) for count in comparison.counts] == [(n, c) for n in specs for c in COUNTERS]
    assert UNEXPLAINED not in {count.reason for count in comparison.counts}
    assert [size.network for size in comparison.sizes] == [
        *("unpruned", "unpruned, folded", "pruned 45 %", "pruned 45 %, folded", "MobileNet V2")
    ]
    assert comparison.sizes[1].cost == total_cost(TINY, 224, folded=True)
    assert comparison.provenance["fvcore"]
    printed = capsys.readouterr().out
    assert printed.count("| unpruned ") == 1 + len(COUNTERS) + 1
    assert "not counted" in printed


def test_missing_packages_are_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(counters, "find_spec", lambda module: None if module in ("thop", "distutils") else object())
    with pytest.raises(SystemExit, match="2"):
        command("--out", str(tmp_path / "cost"))
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install thop setuptools, or all" in line
    assert not (tmp_path / "cost").exists()


def test_the_committed_record_holds_the_cost_that_we_count() -> None:
    comparison = read_counters(file_of(COMMITTED))
    assert dict(comparison.specs) == counters.networks(reference.read(PUBLISHED))
    assert {count.counter for count in comparison.counts} == set(COUNTERS)
    for count in comparison.counts:
        spec = comparison.specs[count.network]
        difference = count.cost.macs - total_cost(spec, comparison.side).macs
        lines, excesses = cost_lines(spec, comparison.side), comparison.alone[count.counter]
        assert count.reason == other_counters.explain(lines, excesses, difference) != UNEXPLAINED
    for size in comparison.sizes[: 2 * len(comparison.specs)]:
        spec, folded = comparison.specs[size.network.removesuffix(", folded")], size.network.endswith(", folded")
        assert size.cost == total_cost(spec, comparison.side, folded)
        assert size.file_bytes == file_bytes(spec, folded)
        assert size.peak_activation_bytes == peak_activation_bytes(spec, comparison.side, folded=folded)
