"""CPU times: the networks that are named, and a stopped run that goes on."""

from pathlib import Path

import pytest

from bcnn_prune.records.network_latency import LAYOUTS, read
from experiments.measure import counters, network_latency
from experiments.measure.network_latency import Settings
from experiments.run import cli
from tests.helpers.timing import opened_here

PUBLISHED = Path(__file__).parents[3] / "results" / "reference" / "thesis_results.csv"


def command(*arguments: str) -> None:
    cli.run(network_latency.main, Settings, network_latency.__doc__, ("--published", str(PUBLISHED), *arguments))


def test_a_stopped_run_goes_on_with_the_batch_that_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(counters, "SIDE", 32)
    monkeypatch.setattr(counters, "PEERS", {"MobileNet V2": "mobilenetv2_100"})
    monkeypatch.setattr(network_latency, "networks", lambda path: few(path))
    monkeypatch.setattr(network_latency, "timed_apart", opened_here)

    def few(published: Path) -> list[network_latency.Network]:
        return [network for network in NETWORKS(published) if network.name in ("BCNN −80 %", "MobileNet V2")]

    out = ("--out", str(tmp_path), "--threads", "1")
    command("--batches", "2", "--rounds", "3", *out)
    first = read(tmp_path)
    command("--batches", "1", "2", "--rounds", "2", "9", *out)
    again = read(tmp_path)
    assert [times.batch for times in again] == [1, 2]
    assert again[1:] == first
    assert "batch 2: timed before" in capsys.readouterr().out
    ours, theirs = again[0].networks
    assert ours.cost.params == 1_204_831
    assert (ours.peak_activation_bytes is None, theirs.peak_activation_bytes) == (False, None)
    assert (ours.source, theirs.source) == ("thesis table 4.4", "timm mobilenetv2_100")
    assert list(theirs.latency) == list(LAYOUTS)
    assert {latency.rounds for latency in ours.latency.values()} == {2}


NETWORKS = network_latency.networks


def test_the_networks_are_the_unpruned_one_published_ones_and_the_fields() -> None:
    shown = network_latency.networks(PUBLISHED)
    costs = {network.name: network.cost(224) for network in shown}
    assert list(costs) == ["BCNN", *network_latency.PUBLISHED, *counters.PEERS]
    assert costs["BCNN"].params == 66_103_556
    assert abs(costs["BCNN −40 %"].macs / costs["BCNN −45 %"].macs - 1) < 0.01
    assert costs["BCNN −40 %"].params > 5 * costs["BCNN −45 %"].params


def test_rounds_are_told_for_each_batch(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command("--rounds", "3")
    (line,) = capsys.readouterr().err.splitlines()
    assert "--rounds is (3,): give one for each of the 2 batches" in line
