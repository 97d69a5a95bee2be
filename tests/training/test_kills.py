"""A few of the kills that `python -m tests.helpers.kills` gives by the dozen, and two runs that want one folder."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from bcnn_prune.files import folder_lock
from tests.helpers.kills import killed_and_finished
from tests.helpers.small_sets import stripes

# A child that runs in another folder finds the project all the same, and does not fight for threads.
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}


def test_a_run_killed_at_random_moments_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    kills, runs = killed_and_finished(tmp_path, kills=2, seed=1)
    assert kills == 2
    assert runs >= 1


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(tmp_path: Path) -> None:
    stripes(tmp_path / "set.h5", per_class=(32, 12, 12))
    arguments = [
        "--dataset",
        "cars",
        "--data",
        "set.h5",
        "--prune",
        "0.4",
        "--min-channels",
        "2",
        "--depth",
        "11",
        "--width",
        "0.06",
    ]
    command = [sys.executable, "-m", "experiments.oneshot", *arguments, "--sparsity", "0.1", "--dense-epochs", "400"]
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what is in its background with Ctrl-C ignored, and the tests hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("dense   3/"):
            break
    running.send_signal(signal.SIGINT)
    _, error = running.communicate(timeout=60)
    assert running.returncode == 130
    assert error == "stopped: what was finished is saved, and the same command goes on from the last whole epoch\n"
    again = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    assert again.stdout is not None
    first = next(line for line in again.stdout if line.startswith("dense  "))
    again.kill()
    again.communicate()
    assert int(first.split("/")[0].removeprefix("dense")) >= 4


def hold(folder: Path) -> None:
    """Lock the folder until `release` lies in it."""
    with folder_lock(folder, lambda: None):
        (folder / "held").touch()
        while not (folder / "release").exists():
            time.sleep(0.01)
        (folder / "let go").touch()


def holder(folder: Path) -> BaseProcess:
    """A process that has locked the folder."""
    process = multiprocessing.get_context("fork").Process(target=hold, args=(folder,))
    process.start()
    while not (folder / "held").exists():
        assert process.is_alive()
        time.sleep(0.01)
    return process


def test_a_second_process_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    first = holder(tmp_path)
    waited: list[str] = []

    def wait() -> None:
        waited.append("waiting")
        (tmp_path / "release").touch()

    with folder_lock(tmp_path, wait):
        assert (tmp_path / "let go").exists()
    assert waited == ["waiting"]
    first.join()


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    first = holder(tmp_path)
    first.kill()
    first.join()
    with folder_lock(tmp_path, lambda: None):
        pass
