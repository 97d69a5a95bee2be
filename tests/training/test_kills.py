"""A few of the kills that `python -m tests.kills` gives by the dozen, and two runs that want one folder."""

import multiprocessing
import time
from pathlib import Path

from bcnn_prune.files import taking_turns
from tests.kills import killed_and_finished


def test_a_run_killed_at_random_moments_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    kills, runs = killed_and_finished(tmp_path, kills=4, seed=1)
    assert kills == 4
    assert runs >= 1


def hold(folder: Path, seconds: float) -> None:
    with taking_turns(folder, lambda: None):
        (folder / "held").touch()
        time.sleep(seconds)
        (folder / "let go").touch()


def test_a_second_process_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    first = multiprocessing.get_context("fork").Process(target=hold, args=(tmp_path, 0.5))
    first.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    waited: list[str] = []
    with taking_turns(tmp_path, lambda: waited.append("waiting")):
        assert (tmp_path / "let go").exists()
    assert waited == ["waiting"]
    first.join()


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    first = multiprocessing.get_context("fork").Process(target=hold, args=(tmp_path, 60))
    first.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    first.kill()
    first.join()
    with taking_turns(tmp_path, lambda: None):
        pass
