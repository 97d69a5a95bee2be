"""Time: the slower one is seen to be slower, each runtime runs in its own process, and load and failures are told."""

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from bcnn_prune.evaluation.latency import Load, Pass, timed_apart, timed_in_turn
from bcnn_prune.model.weights import fresh
from bcnn_prune.spec import ModelSpec


def sleeper(milliseconds: float, log: Path | None = None) -> Pass:
    def run() -> None:
        if log is not None:
            with log.open("a") as lines:
                lines.write(f"{milliseconds} {os.getpid()} {torch.get_num_threads()} {os.environ['OMP_NUM_THREADS']}\n")
        time.sleep(milliseconds / 1e3)

    return run


def broken() -> Pass:
    raise ImportError("no such runtime")


def dying() -> Pass:
    os._exit(3)


def test_networks_in_turn_are_told_with_quartiles_in_order() -> None:
    models = {
        name: fresh(ModelSpec.vgg(11, 3, width), torch.Generator()) for name, width in (("narrow", 0.02), ("wide", 0.5))
    }
    found = timed_in_turn(models, side=32, batch=2, rounds=7)
    assert found["narrow"].median_ms < found["wide"].median_ms
    for latency in found.values():
        assert latency.lower_quartile_ms <= latency.median_ms <= latency.upper_quartile_ms
        assert (latency.rounds, latency.batch, latency.threads) == (7, 2, torch.get_num_threads())
        assert latency.load is not None
        assert latency.load >= 0


def test_runtimes_are_timed_in_processes_of_their_own_that_alternate(tmp_path: Path) -> None:
    log, before = tmp_path / "log", os.environ.get("OMP_NUM_THREADS")
    runtimes = {"quick": partial(sleeper, 2.0, log), "slow": partial(sleeper, 9.0, log)}
    found = timed_apart(runtimes, batch=8, threads=1, rounds=3, passes=2, warm_up=1)
    assert 2 <= found["quick"].median_ms < 9 <= found["slow"].median_ms
    assert (found["slow"].rounds, found["slow"].batch, found["slow"].threads) == (3, 8, 1)
    lines = [line.split() for line in log.read_text().splitlines()]
    assert [line[0] for line in lines] == ["2.0", "9.0"] + 3 * ["2.0", "2.0", "9.0", "9.0"]
    assert len({line[1] for line in lines} | {str(os.getpid())}) == 3
    assert {(line[2], line[3]) for line in lines} == {("1", "1")}
    assert os.environ.get("OMP_NUM_THREADS") == before


@pytest.mark.parametrize(
    ("opened", "says"),
    [(broken, "cannot be timed: ImportError: no such runtime"), (dying, "its process died")],
)
def test_a_runtime_that_fails_is_named(opened: Pass, says: str) -> None:
    with pytest.raises(RuntimeError, match=f"bad cannot be timed: .*{says.removeprefix('cannot be timed: ')}"):
        timed_apart({"bad": opened}, batch=1, threads=1)  # type: ignore[dict-item]


def test_the_load_is_that_of_others() -> None:
    """A busy process counts unless it is said to be ours; both are looked at during the same half second."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        with Load() as strange, Load([busy.pid]) as ours:
            time.sleep(0.5)
    finally:
        busy.kill()
        busy.wait()
    assert strange.of_others - ours.of_others > 0.2
