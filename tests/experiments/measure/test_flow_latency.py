"""Times of the flows' networks: each pair once, on one machine, in place of what the runs timed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bcnn_prune.records import RunRecord, to_json
from bcnn_prune.records.flow_latency import TIMED_ON, clocked, read, shape
from experiments.measure import flow_latency
from experiments.measure.flow_latency import Settings
from experiments.run import cli
from tests.helpers.explicit_records import SIDE, everything, run, step
from tests.helpers.strategies import TINY
from thesis_figures import load


def results(folder: Path, records: list[RunRecord]) -> Path:
    for i, record in enumerate(records):
        path = folder / record.experiment / record.data.name / f"{i}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_json(record), encoding="utf-8")
    return folder


def command(*arguments: str) -> None:
    cli.run(flow_latency.main, Settings, flow_latency.__doc__, arguments)


def test_every_run_has_the_times_of_its_last_network_from_one_go(tmp_path: Path) -> None:
    folder = results(tmp_path, everything())
    threads = torch.get_num_threads()
    command("--results", str(folder), "--rounds", "3", "--threads", "2")
    assert torch.get_num_threads() == threads
    times = read(folder)
    assert times is not None
    timed = [(pair.side, pair.dense, pair.pruned) for pair in times.pairs]
    assert len(timed) == len(set(timed))
    assert set(timed) == {shape(record) for record in everything() if record.steps}
    assert {(latency.rounds, latency.threads) for pair in times.pairs for latency in pair.latency.values()} == {(3, 2)}
    for record in load.read(folder).records:
        assert record.provenance.get(TIMED_ON) == (times.provenance["cpu"] if record.steps else None)
        assert record.provenance["cpu"] == "a slow one"
        assert {latency.rounds for latency in record.latency.values()} == ({3} if record.steps else set())


def test_a_network_that_was_not_timed_there_has_no_time(tmp_path: Path) -> None:
    known, new = run(), run(steps=(step(TINY, 1, (60, 90, 150)),))
    command("--results", str(results(tmp_path, [known])), "--rounds", "2", "--threads", "1")
    times = read(tmp_path)
    assert [bool(record.latency) for record in clocked([known, new], times)] == [True, False]
    assert clocked([known, new], None) == [known, new]


def test_a_wider_network_takes_longer() -> None:
    wide = replace(TINY, widths=tuple(32 * width for width in TINY.widths))  # far apart, for a busy machine's sake
    pair = flow_latency.timed((4 * SIDE, wide, TINY), 9)
    assert pair.latency["dense"].median_ms > pair.latency["pruned"].median_ms


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((), "no record of a cut in"), (("--rounds", "0"), "--rounds is 0"), (("--threads", "0"), "--threads is 0")],
)
def test_what_cannot_be_timed_is_refused(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command("--results", str(tmp_path), *arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
