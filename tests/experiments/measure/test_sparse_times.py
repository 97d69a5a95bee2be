"""Times of zeros: the same files but for their weights, in every runtime."""

import json
from pathlib import Path

import pytest

from experiments.measure import sparse_times
from experiments.measure.sparse_times import DENSE, NARROW, PACKED, SPARSE, Settings
from experiments.run import cli

TINY = ("--width", "0.1", "--side", "16", "--classes", "3", "--rounds", "2", "--threads", "1")


def command(*arguments: str) -> None:
    cli.run(sparse_times.main, Settings, sparse_times.__doc__, arguments)


def test_all_three_networks_are_timed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(*TINY, "--share", "0.9", "--runtimes", PACKED, "--out", str(tmp_path))
    told = json.loads((tmp_path / "sparse0.9-side16-width0.1.json").read_text())
    assert told["weights"][SPARSE] < 0.12 * told["weights"][DENSE]
    assert told["weights"][NARROW] < 0.12 * told["weights"][DENSE]
    times = told["ms"].pop(PACKED)
    assert {name: len(ms) for name, ms in times.items()} == {DENSE: 2, SPARSE: 2, NARROW: 2}
    assert min(map(min, times.values())) > 0
    assert not told["ms"]
    assert "how many times as fast as dense" in capsys.readouterr().out
    before = list(tmp_path.iterdir())
    with pytest.raises(SystemExit, match="2"):
        command(*TINY, "--share", "0.9", "--runtimes", PACKED, "--batch", "2", "--out", str(tmp_path))
    assert "was measured by other settings: move it away" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("option", "value"),
    [("--share", "1"), ("--rounds", "0"), ("--side", "8"), ("--width", "0"), ("--runtimes", "torch")],
)
def test_what_cannot_be_timed_is_one_line(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        command(option, value)
    assert left.value.code == 2
    assert option in capsys.readouterr().err
