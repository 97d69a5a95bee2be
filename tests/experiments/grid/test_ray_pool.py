"""Runs on a Ray of two workers: what is killed goes on, what fails fails alone, a user's mistake is told as ever."""

import io
import os
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from rich.console import Console

from bcnn_prune.data.batches import ImageSplit, StreamedSplit
from bcnn_prune.protocol import RunAborted
from experiments import oneshot, thesis
from experiments.grid import dashboard, ray_pool
from experiments.grid.planning import planned_runs
from experiments.grid.ray_pool import RunResources, Workers, fitting, share
from experiments.grid.state import GridState, Task
from experiments.run import distributed
from experiments.run.run import prepare_run
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


@dataclass
class AlteredGrid(GridState):
    """A grid with other work than its own for some tasks."""

    other_work: Mapping[tuple[int, str | None], Callable[[], None]] = field(default_factory=dict)
    """By position of the run and name of the phase; None for the end of the run."""

    def tasks(self) -> list[Task]:
        return [
            replace(task, work=self.other_work.get((task.run, task.phase and task.phase.name), task.work))
            for task in super().tasks()
        ]


def grid(finished: Path, out: str, *flows: str) -> AlteredGrid:
    """Some flows of the grid that `finished` holds, to be run in a folder of their own."""
    given = settings(finished, out)
    info = next(iter(records(finished / "whole" / "results").values())).data
    runs = [(info, flow) for flow in planned_runs(given, info, seed=0) if flow.experiment in flows]
    return AlteredGrid(**vars(GridState.of(runs)))


def processes(log: Path) -> list[int]:
    """The workers that a task had, one after the other, as its log tells."""
    return [int(number) for number in PROCESS.findall(log.read_text())] if log.exists() else []


def test_a_phase_whose_worker_is_killed_ends_as_the_unbroken_one(finished: Path, ray: Any) -> None:
    runs = grid(finished, "ray", "soft")
    (dense,) = (task for task in runs.tasks() if task.phase and task.phase.name == "dense")
    runs.other_work = {(0, "dense"): partial(killed_in_its_third_epoch, finished / "ray", dense.work)}
    ray_pool.train(ray, runs, TWO, Console(quiet=True))
    first, second = processes(dense.log)
    assert second != first
    after = dense.log.read_text().split(f"process {second} ")[1]
    epochs = [int(epoch) for epoch in re.findall(rf"^dense +(\d+)/{DENSE_EPOCHS}", after, re.M)]
    assert epochs == list(range(4, DENSE_EPOCHS + 1))  # what was finished before the kill is not trained again
    expected = {name: record.repeatable() for name, record in records(finished / "whole" / "results" / "soft").items()}
    assert len(expected) == 3
    ended = records(finished / "ray" / "results" / "soft")
    assert {name: record.repeatable() for name, record in ended.items()} == expected
    assert {record.provenance["threads"] for record in ended.values()} == {"1"}
    logs = [path.read_text() for path in (finished / "ray" / "soft").rglob("log*.txt")]
    trained = Counter(re.findall(r"^(\S+): \d+ epochs", "\n".join(logs), re.M))
    del trained["dense"]  # twice begun
    assert trained == {"classifier": 1, "sparse": 1, "soft": 3, "control": 1}  # whichever runs need them


def killed_in_its_third_epoch(folder: Path, work: Callable[[], None]) -> None:
    """Only the first time."""
    if not any(folder.rglob("state.pt")):
        die_after(states=3)
    work()


def stops() -> None:
    raise RunAborted("nothing was learned")


def mistakes() -> None:
    raise ValueError("--width is -1: take more than 0")


def breaks() -> None:
    raise KeyError("conv5_3")


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_fails_takes_along_the_runs_that_need_it_and_no_other(
    finished: Path, ray: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ends of runs, by exceptions of three kinds; and a phase whose workers all die."""
    runs = grid(finished, "failing", "soft", "sweep")
    shutil.copytree(finished / "whole" / "phases", finished / "failing" / "phases")
    softs = [task for task in runs.tasks() if task.phase and task.phase.name == "soft"]
    runs.other_work = {(0, None): stops, (1, None): breaks, (2, "soft"): dies, (3, None): mistakes}
    ray_pool.train(ray, runs, replace(TWO, retries=1), Console(width=300, soft_wrap=True))
    died = next(task.log for task in softs if task.run == 2)
    assert len(processes(died)) == 2
    log = runs.folder(1) / "log.txt"
    assert runs.failed == {
        0: "nothing was learned",
        1: f"KeyError: 'conv5_3' (see {log})",
        2: f"its workers died, the last one of WorkerCrashedError (see {died})",
        3: "--width is -1: take more than 0",
    }
    assert "in breaks" in log.read_text()
    assert runs.left() == []
    assert len(processes(runs.folder(0) / "log.txt")) == 1
    assert not (runs.folder(2) / "log.txt").exists()
    assert f"{runs.name(0)}: nothing was learned (" in capsys.readouterr().out


def test_a_phase_that_stops_itself_is_not_tried_again_for_every_run(finished: Path, ray: Any) -> None:
    runs = grid(finished, "stopping", "soft", "ablation")
    shutil.copytree(finished / "whole" / "phases", finished / "stopping" / "phases")
    runs.other_work = {(0, "sparse"): stops}
    ray_pool.train(ray, runs, TWO, Console(quiet=True))
    failed = {position for position, (_, flow) in enumerate(runs.runs) if any(p.name == "sparse" for p in flow.phases)}
    shared = {position for position in failed if runs.runs[position][1].experiment == "soft"}
    assert {position for position, reason in runs.failed.items() if reason == "nothing was learned"} >= shared
    assert set(runs.failed) <= failed
    assert sum(record is not None for record in runs.records) == len(runs.runs) - len(runs.failed)


def test_a_grid_that_is_called_off_goes_on_later(finished: Path, ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = grid(finished, "interrupted", "soft")
    (log,) = (task.log for task in runs.tasks() if task.phase and task.phase.name == "dense")

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


@pytest.mark.parametrize(("gpus", "expected"), [(0.6, 2), (0.5, 4), (0.3, 6), (1, 2), (0, 8)])
def test_a_part_of_a_gpu_is_of_one_gpu(gpus: float, expected: int) -> None:
    assert fitting(1, gpus, [{"CPU": 8, "GPU": 2}, {}]) == expected
    assert fitting(1, gpus, []) == 0  # all machines are away


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
    monkeypatch.setattr(ray_pool, "usable_cores", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    shares: list[int] = []
    task = Task(0, None, (), lambda: shares.append(distributed.processes_here()), tmp_path / "log.txt")
    assert ray_pool._attempt(task, tmp_path, RunResources(cores_a_run, gpus=0, at_once=100)) is None
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


def test_the_board_tells_what_runs_how_far_it_is_and_what_is_best(finished: Path, tmp_path: Path) -> None:
    whole = grid(finished, "whole", "oneshot")
    whole.records[3], whole.trained = None, set()
    log = tmp_path / "log.txt"
    log.write_text("process 1 on a, 1 threads\n\ndense   3/8  loss 0.1\n\n")
    console = Console(width=300, force_terminal=True, record=True, file=io.StringIO())
    with dashboard.Dashboard(console, whole) as board:
        board.show([replace(whole.tasks()[0], log=log)], 2)
    text = console.export_text()
    info, flow = whole.runs[3]
    row = next(line for line in text.splitlines() if flow.settings.name(info) in line)
    assert "oneshot" in row
    assert " dense " in row
    assert "dense   3/8  loss 0.1" in row
    assert "1 tasks running, 7 runs done, 0 failed, 1 left, about" in text
    assert f"{SET}: best so far" in text
