"""Kill runs at random moments, start them again, and compare what they end with to an unbroken run.

    python -m tests.helpers.kills --kills 50

takes about two minutes and prints a line a kill. A run that is killed again and again must end with the record and
the checkpoint of one that never was: bit for bit, but for clocks."""

import math
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch._dynamo  # an optimizer imports it, which takes seconds: here, so that no forked process has to
import tyro

from bcnn_prune.data.format import describe
from bcnn_prune.records import RunRecord, read_record
from bcnn_prune.training.resume import EpochCheckpoints
from experiments import oneshot
from experiments.run.record import run_folder
from tests.helpers.small_runs import prepare, settings_for

RUN = {"dense_epochs": 4, "sparse_epochs": 4, "fine_tune_epochs": 2, "prune": 0.4, "min_channels": 2}


@dataclass(frozen=True)
class Settings:
    """Number of kills, and the seed of their moments."""

    kills: int = 50
    seed: int = 0


def killed_and_finished(folder: Path, kills: int, seed: int, report: bool = False) -> tuple[int, int]:
    """Give runs in `folder` `kills` kills at random moments and compare each that finishes; return kills and runs.

    Raises AssertionError for a run that ends otherwise than the unbroken one or leaves partial files behind."""
    prepare(folder)
    start = time.monotonic()
    _run_once(folder, "unbroken", None)
    whole, expected = time.monotonic() - start, _ending(folder, "unbroken")
    draws, done, runs, where = random.Random(seed), 0, 0, Counter[str]()
    while done < kills:
        name = f"run{runs}"
        while done < kills and _run_once(folder, name, draws.uniform(0, whole)):
            done += 1
            latest = _latest(folder / name)
            where[latest] += 1
            if report:
                print(f"kill {done:>3}: {latest}")
        _run_once(folder, name, None)
        ending = _ending(folder, name)
        assert ending == expected, f"{name} ended otherwise than the unbroken run"
        left = [path.name for path in (folder / name).rglob("*.part")]
        assert not left, f"{name} left {left}"
        runs += 1
    if report:
        print(f"{done} kills of {runs} runs: all ended as the unbroken one. Files in work when killed: {dict(where)}")
    return done, runs


def _run_once(folder: Path, name: str, kill_after: float | None) -> bool:
    """True if the run was killed after so many seconds, False if it finished."""
    settings = _settings(folder, name)
    end = math.inf if kill_after is None else time.monotonic() + kill_after
    return killed(lambda: oneshot.main(settings), lambda: time.monotonic() >= end)


def killed(run: Callable[[], None], when: Callable[[], bool]) -> bool:
    """Run in a child process, in silence; True if it was killed as `when` came true, False if it finished before."""
    child = multiprocessing.get_context("fork").Process(target=_silently, args=(run,))
    child.start()
    while child.is_alive():
        if when():
            child.kill()
            child.join()
            return True
        child.join(0.01)
    assert child.exitcode == 0, f"the run ended with {child.exitcode}"
    return False


def die_after(states: int) -> None:
    """Have this process kill itself as soon as it has saved so many states of phases."""
    save, saved = EpochCheckpoints.save, list[Path]()

    def save_and_die(files: EpochCheckpoints, state: dict[str, object]) -> None:
        save(files, state)
        saved.append(files.newest)
        if len(saved) == states:
            os.kill(os.getpid(), signal.SIGKILL)

    EpochCheckpoints.save = save_and_die  # type: ignore[method-assign]


def _settings(folder: Path, name: str) -> oneshot.Settings:
    return oneshot.Settings(**settings_for(folder, **RUN, out=folder / name))


def _silently(run: Callable[[], None]) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    torch.set_num_threads(1)
    run()


def _ending(folder: Path, name: str) -> tuple[RunRecord, bytes]:
    settings = _settings(folder, name)
    end = run_folder(settings, "oneshot", describe(folder / "set.h5"))
    return read_record(end / "record.json").repeatable(), (end / "model.safetensors").read_bytes()


def _latest(folder: Path) -> str:
    """The kind of the file that was written last."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return max(files, key=lambda path: path.stat().st_mtime).name.split(".")[-1] if files else "none yet"


if __name__ == "__main__":
    settings = tyro.cli(Settings, description=__doc__)
    with TemporaryDirectory() as temporary:
        killed_and_finished(Path(temporary), settings.kills, settings.seed, report=True)
