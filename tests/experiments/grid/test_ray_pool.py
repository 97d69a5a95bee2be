"""Runs on a Ray of two workers: what is killed goes on, what fails fails alone, a user's mistake is told as ever."""

import io
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from rich.console import Console

from bcnn_prune.data.batches import ImageSplit, StreamedSplit
from bcnn_prune.protocol import RunAborted
from experiments import oneshot, soft, thesis
from experiments.grid import dashboard, ray_pool
from experiments.grid.planning import PlannedRun, planned_runs
from experiments.grid.ray_pool import RunResources, Workers, share
from experiments.grid.state import GridState
from experiments.run import distributed
from experiments.run.run import prepare_run
from experiments.run.settings import FlowSettings
from tests.helpers.kills import die_after
from tests.helpers.small_grid import DENSE_EPOCHS, records, settings
from tests.helpers.small_runs import SET
from tests.helpers.small_sets import stripes

TWO = Workers(address=None, cpus=2, cpus_per_run=None, gpus_per_run=None, retries=3, may_use_gpus=True)
PROCESS = re.compile(r"^process (\d+) on \S+, 1 threads$", re.M)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """One Ray for all tests here: it takes seconds to start."""
    with ray_pool.joined(TWO) as ray:
        yield ray


def grid(finished: Path, out: str, *flows: str) -> GridState:
    """Some flows of the grid that `finished` holds, to be run in a folder of their own."""
    given = settings(finished, out)
    info = next(iter(records(finished / "whole" / "results").values())).data
    runs = [(info, run) for run in planned_runs(given, info, seed=0) if run.experiment in flows]
    return GridState.of(runs)


def processes(log: Path) -> list[int]:
    """The workers that a run had, one after the other, as its log tells."""
    return [int(number) for number in PROCESS.findall(log.read_text())] if log.exists() else []


def test_a_run_whose_worker_is_killed_ends_as_the_unbroken_one(finished: Path, ray: Any) -> None:
    runs = told_to(killed_in_its_third_epoch, grid(finished, "ray", "soft"), 0)
    ray_pool.train(ray, runs, TWO, Console(quiet=True))
    log = runs.log(0)
    first, second = processes(log)
    assert second != first
    after = log.read_text().split(f"process {second} ")[1]
    epochs = [int(epoch) for epoch in re.findall(rf"^dense +(\d+)/{DENSE_EPOCHS}", after, re.M)]
    assert epochs == list(range(4, DENSE_EPOCHS + 1))  # what was finished before the kill is not trained again
    expected = {name: record.repeatable() for name, record in records(finished / "whole" / "results" / "soft").items()}
    assert len(expected) == 3
    ended = records(finished / "ray" / "results" / "soft")
    assert {name: record.repeatable() for name, record in ended.items()} == expected
    assert {record.provenance["threads"] for record in ended.values()} == {"1"}


def stops(_settings: object) -> None:
    raise RunAborted("nothing was learned")


def mistakes(_settings: object) -> None:
    raise ValueError("--width is -1: take more than 0")


def breaks(_settings: object) -> None:
    raise KeyError("conv5_3")


def dies(_settings: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_in_its_third_epoch(settings: soft.Settings) -> None:
    """Only the first time."""
    if not any(settings.out.rglob("state.pt")):
        die_after(states=3)
    soft.main(settings)


def told_to(main: Callable[[Any], None], runs: GridState, index: int) -> GridState:
    """The grid with one run doing something else."""
    changed = [
        (info, replace(run, main=main) if index == place else run) for place, (info, run) in enumerate(runs.runs)
    ]
    return replace(runs, runs=changed)


def test_a_run_that_stops_itself_fails_alone(finished: Path, ray: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The others build on it; they get their turn, and one of them trains what they share."""
    runs = told_to(stops, grid(finished, "stopping", "soft"), 0)
    ray_pool.train(ray, runs, TWO, Console(width=300, soft_wrap=True))
    assert runs.failed == {0: "nothing was learned"}
    assert runs.left() == []
    assert len(processes(runs.log(0))) == 1
    assert f"{runs.name(0)}: nothing was learned (" in capsys.readouterr().out
    assert len(records(finished / "stopping" / "results")) == 2


def test_a_run_whose_workers_all_die_fails_alone(finished: Path, ray: Any) -> None:
    runs = told_to(dies, grid(finished, "dying", "soft"), 0)
    ray_pool.train(ray, runs, replace(TWO, retries=1), Console(quiet=True))
    assert len(processes(runs.log(0))) == 2
    assert runs.failed[0].startswith("its workers died, the last one of WorkerCrashedError (see ")


def test_any_error_in_a_worker_is_one_line_and_stops_no_other_run(finished: Path, ray: Any) -> None:
    runs = told_to(breaks, told_to(mistakes, grid(finished, "mistaken", "soft"), 0), 1)
    ray_pool.train(ray, runs, TWO, Console(quiet=True))
    log = runs.log(1)
    assert runs.failed == {0: "--width is -1: take more than 0", 1: f"KeyError: 'conv5_3' (see {log})"}
    assert "in breaks" in log.read_text()
    assert len(records(finished / "mistaken" / "results")) == 1


def test_a_run_that_is_called_off_goes_on_later(finished: Path, ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = grid(finished, "interrupted", "soft")
    log = runs.log(0)

    def interrupt(*_: object) -> None:
        if log.exists() and f"dense   2/{DENSE_EPOCHS}" in log.read_text():
            raise KeyboardInterrupt

    monkeypatch.setattr(ray_pool, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(dashboard.Dashboard, "show", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ray_pool.train(ray, runs, TWO, Console(quiet=True))
    (process,) = processes(log)
    end = time.monotonic() + 60
    while Path(f"/proc/{process}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{process}").exists()


NONE = replace(TWO, cpus=None)


@pytest.mark.parametrize(
    ("workers", "machines", "expected"),
    [
        (NONE, [{"CPU": 2}], RunResources(1, 0, 2)),
        (replace(NONE, cpus_per_run=3), [{"CPU": 8}, {"CPU": 4}], RunResources(3, 0, 3)),
        (NONE, [{"CPU": 16, "GPU": 2}, {"CPU": 64}], RunResources(8, 1, 2)),
        (NONE, [{"CPU": 4, "GPU": 8}], RunResources(1, 1, 4)),
        (replace(NONE, gpus_per_run=0.5), [{"CPU": 16, "GPU": 2}], RunResources(4, 0.5, 4)),
        (replace(NONE, gpus_per_run=0.2), [{"CPU": 16, "GPU": 3}], RunResources(1, 0.2, 15)),
        (replace(NONE, gpus_per_run=0), [{"CPU": 16, "GPU": 2}], RunResources(1, 0, 16)),
        (replace(NONE, may_use_gpus=False), [{"CPU": 16, "GPU": 2}], RunResources(1, 0, 16)),
    ],
)
def test_shares(workers: Workers, machines: list[dict[str, float]], expected: RunResources) -> None:
    assert share(workers, machines) == expected


def test_a_share_that_no_machine_has_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"no machine has 9 cores and 0 GPUs .*largest has 8 cores.* lower --cpus-per-run"
    ):
        share(replace(NONE, cpus_per_run=9), [{"CPU": 8}, {"CPU": 4}])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "local", "address": "auto"}, "--address means nothing with --backend local"),
        ({"backend": "local", "gpus_per_run": 0.5}, "--gpus-per-run means nothing with --backend local"),
        ({"gpus_per_run": 2}, "--gpus-per-run is 2: take 0 to 1"),
        ({"backend": "ray", "cpus_per_run": 0}, "--cpus-per-run is 0: take 1 or more"),
        ({"backend": "ray", "gpus_per_run": 2}, "--gpus-per-run is 2: take 0 to 1"),
        ({"backend": "ray", "retries": -1}, "--retries is -1: take 0 or more"),
        ({"backend": "ray", "address": "auto", "cpus": 2}, "--cpus is for this machine"),
    ],
)
def test_settings_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        thesis.Settings(dataset="cars", **options).check()


@pytest.mark.parametrize(("cores_a_run", "runs"), [(1, 8), (4, 2), (16, 1)])
def test_a_run_knows_how_many_share_its_machine(
    cores_a_run: int, runs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    shares = []
    asked = PlannedRun(
        "oneshot", lambda _: shares.append(distributed.processes_here()), FlowSettings(dataset="cars"), {}, ()
    )
    assert (
        ray_pool._train(asked, tmp_path / "log.txt", tmp_path, RunResources(cores_a_run, gpus=0, at_once=100)) is None
    )
    assert shares == [runs]


def test_images_stay_in_their_file_where_all_runs_of_the_machine_would_fill_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = stripes(tmp_path / "set.h5")
    size = sum(info.images.values()) * info.side**2 * 3
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=5 * size))
    settings = oneshot.Settings(dataset="cars", data=tmp_path / "set.h5", width=0.05, prune=0.4)
    assert isinstance(prepare_run(settings).context.train, ImageSplit)
    monkeypatch.setenv(distributed.RUNS_HERE, "3")
    assert isinstance(prepare_run(settings).context.train, StreamedSplit)


@pytest.mark.parametrize(
    ("options", "cores", "gpus", "expected"),
    [
        ({}, 2, 0, True),
        ({}, 1, 0, False),
        ({}, 8, 1, False),
        ({}, 1, 2, True),
        ({"device": "cpu"}, 2, 2, True),
        ({"backend": "local"}, 2, 0, False),
        ({"backend": "ray"}, 1, 0, True),
        ({"address": "auto"}, 1, 0, True),
        ({"backend": "ray", "device": "cuda"}, 1, 0, True),  # the GPUs are the cluster's
        ({"address": "auto", "device": "cuda"}, 1, 0, True),
    ],
)
def test_several_runs_at_once_where_there_is_more_than_one_core_or_gpu(
    options: dict[str, Any], cores: int, gpus: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    assert thesis.Settings(dataset="cars", **options).takes_ray() == expected


def test_without_ray_runs_are_trained_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert not thesis.Settings(dataset="cars").takes_ray()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (None, "Ray does not start on this machine, --backend local does without: no room"),
        ("ray://a:1", "--address ray://a:1: cannot join a Ray cluster there: no room"),
    ],
)
def test_a_ray_that_does_not_start_is_one_line(
    address: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    def fails(**_: Any) -> None:
        raise RuntimeError("no room\nin /dev/shm")

    monkeypatch.setattr(ray, "init", fails)
    with pytest.raises(ValueError, match=f"^{message}$"), ray_pool.joined(replace(NONE, address=address)):
        pass


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=re.escape("pip install --editable '.[cluster]'")):
        thesis.Settings(dataset="cars", backend="ray").check()


def test_the_board_tells_what_runs_where_it_is_and_what_is_best(finished: Path, tmp_path: Path) -> None:
    whole = grid(finished, "whole", "oneshot")
    whole.records[3] = None
    log = tmp_path / "log.txt"
    log.write_text("process 1 on a, 1 threads\n\ndense   3/8  loss 0.1\n\n")
    console = Console(width=300, force_terminal=True, record=True, file=io.StringIO())
    with dashboard.Dashboard(console, whole, lambda _: log) as board:
        board.show([3], 2)
    text = console.export_text()
    info, run = whole.runs[3]
    row = next(line for line in text.splitlines() if run.settings.name(info) in line)
    assert "oneshot" in row
    assert "dense   3/8  loss 0.1" in row
    assert "1 running, 7 done, 0 failed, 0 left, about" in text
    assert f"{SET}: best so far" in text
