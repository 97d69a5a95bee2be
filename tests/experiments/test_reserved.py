"""Commands that measure for minutes look first whether what they find can be written."""

import time
from importlib import import_module
from pathlib import Path

import pytest

from bcnn_prune.records import to_json
from experiments.run import cli
from tests.helpers.explicit_records import run
from tests.helpers.small_sets import stripes

SECONDS = 5
"""Measuring takes longer for each of them."""


@pytest.mark.parametrize(
    ("command", "option", "arguments"),
    [
        ("measure.compiled_steps", "--out", ()),
        ("measure.counters", "--out", ()),
        ("measure.network_latency", "--out", ()),
        ("measure.preparation", "--out", ()),
        ("measure.runtimes", "--out", ()),
        ("measure.runtimes", "--files", ()),
        ("measure.surgery", "--out", ()),
        ("measure.throughput", "--out", ()),
        ("measure.samples", "--out", ()),
        ("measure.sparse_times", "--out", ()),
        ("oneshot", "--out", ("--dataset", "drawn-cars3", "--data", "set.h5", "--prune", "0.4")),
        ("sweep", "--results", ("--dataset", "drawn-cars3", "--data", "set.h5")),
        ("ablation", "--results", ("--dataset", "drawn-cars3", "--data", "set.h5")),
        ("criteria", "--results", ("--dataset", "drawn-cars3", "--data", "set.h5", "--prune", "0.4")),
    ],
)
def test_a_place_that_cannot_be_written_to_is_one_line_at_once(
    command: str,
    option: str,
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = import_module(f"experiments.{command}")
    published = Path("results/reference/thesis_results.csv").resolve()
    monkeypatch.chdir(tmp_path)
    Path("results/reference").mkdir(parents=True)
    Path("results/reference/thesis_results.csv").symlink_to(published)
    stripes(Path("set.h5"))
    Path("file").touch()
    start = time.process_time()
    with pytest.raises(SystemExit) as left:
        cli.run(module.main, module.Settings, module.__doc__, (*arguments, option, "file/deeper"))
    assert time.process_time() - start < SECONDS
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {option}: file/deeper/")
    assert line.endswith("cannot be written (file is no folder): name another folder")


def test_times_of_flows_that_cannot_be_written_are_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = import_module("experiments.measure.flow_latency")
    record = run()
    path = tmp_path / "oneshot" / record.data.name / "a.json"
    path.parent.mkdir(parents=True)
    path.write_text(to_json(record), encoding="utf-8")
    (tmp_path / "cpu_time").touch()
    with pytest.raises(SystemExit):
        cli.run(module.main, module.Settings, None, ("--results", str(tmp_path)))
    output = capsys.readouterr()
    assert output.err.startswith(f"error: --results: {tmp_path}/cpu_time/flows.json cannot be written")
    assert output.out == ""
