"""Time: the slower one is seen to be slower, each runtime runs in its own process, and load and failures are told."""

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch

from bcnn_prune.evaluation.cpu_load import CpuLoad
from bcnn_prune.evaluation.isolated_latency import LatencyError, Network, OpenNetwork, sampled_apart
from bcnn_prune.evaluation.latency import Pass, Samples, passes_in_turn, timed_in_turn
from bcnn_prune.model.init import fresh
from bcnn_prune.records import SpeedUp
from bcnn_prune.spec import ModelSpec


def sleeper(milliseconds: float, log: Path | None = None) -> Network:
    """Sleeps so long for every image; the log has a line a pass."""

    def ready(batch: int) -> Pass:
        def run() -> None:
            if log is not None:
                threads = f"{torch.get_num_threads()} {os.environ['OMP_NUM_THREADS']}"
                with log.open("a") as lines:
                    lines.write(f"{milliseconds} {batch} {os.getpid()} {threads}\n")
            time.sleep(batch * milliseconds / 1e3)

        return run

    return ready


def broken() -> Network:
    raise ImportError("no such runtime")


def dying() -> Network:
    os._exit(3)


def test_networks_in_turn_are_told_with_quartiles_in_order() -> None:
    models = {
        name: fresh(ModelSpec.of("vgg11", 3, width), torch.Generator())
        for name, width in (("narrow", 0.02), ("wide", 0.5))
    }
    latencies = timed_in_turn(models, side=32, batch=2, rounds=7)
    assert latencies["narrow"].median_ms < latencies["wide"].median_ms
    for latency in latencies.values():
        assert latency.lower_quartile_ms <= latency.median_ms <= latency.upper_quartile_ms
        assert (latency.rounds, latency.batch, latency.threads) == (7, 2, torch.get_num_threads())
        assert latency.load is not None
        assert latency.load >= 0


def test_passes_that_settle_go_untimed_right_before_each_that_counts() -> None:
    log: list[str] = []
    passes: dict[str, Pass] = {name: partial(log.append, name) for name in ("a", "b")}
    latencies = passes_in_turn(passes, threads=3, rounds=4, warm_up=1, settling=2)
    assert log == 5 * (3 * ["a"] + 3 * ["b"])
    assert {(latency.rounds, latency.threads) for latency in latencies.values()} == {(4, 3)}


def test_runtimes_are_timed_in_processes_of_their_own_that_alternate(tmp_path: Path) -> None:
    log, before = tmp_path / "log", os.environ.get("OMP_NUM_THREADS")
    runtimes, reported = (
        {"quick": partial(sleeper, 2.0, log), "slow": partial(sleeper, 40.0, log)},
        list[tuple[int, int]](),
    )
    one, four = sampled_apart(
        runtimes, {1: 3, 4: 1}, threads=1, settle_ms=0, report=lambda *round: reported.append(round)
    )
    # A busy machine sleeps longer, never shorter.
    assert one.latency("quick").median_ms >= 2
    assert one.latency("slow").median_ms >= 40
    assert min(four.ms["slow"]) >= 160
    assert [len(ms) for ms in (*one.ms.values(), *four.ms.values())] == [3, 3, 1, 1]
    latency = one.latency("slow")
    assert (latency.rounds, latency.batch, latency.threads) == (3, 1, 1)
    assert reported == [(1, 1), (1, 2), (1, 3), (4, 1)]
    lines = [line.split() for line in log.read_text().splitlines()]
    # A round before those that count; in each the pass that settles and the one that counts.
    assert [line[0] for line in lines] == (4 + 2) * ["2.0", "2.0", "40.0", "40.0"]
    assert [line[1] for line in lines] == 16 * ["1"] + 8 * ["4"]
    assert len({line[2] for line in lines} | {str(os.getpid())}) == 3
    assert {(line[3], line[4]) for line in lines} == {("1", "1")}
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_a_process_settles_before_its_pass_counts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    sampled_apart({"one": partial(sleeper, 2.0, log)}, {1: 1}, threads=1, settle_ms=200)
    passes = len(log.read_text().splitlines())
    assert 2 * 2 < passes <= 2 * (100 + 1)  # a busy machine makes fewer, but more than the two without settling


def test_a_speed_up_is_that_of_each_round_by_itself() -> None:
    """A machine that is slow for a while is so for both: the ratio of medians would be 20 here."""
    samples = Samples({"dense": (10.0, 100.0, 400.0), "fast": (1.0, 20.0, 5.0)}, batch=1, threads=2, load=0.0)
    assert samples.speed_up("fast", to="dense") == SpeedUp(10, 7.5, 45)
    assert samples.speed_up("dense", to="dense") == SpeedUp(1, 1, 1)


@pytest.mark.parametrize(
    ("opened", "message"),
    [(broken, "cannot be timed: ImportError: no such runtime"), (dying, "its process died")],
)
def test_a_runtime_that_fails_is_named(opened: OpenNetwork, message: str) -> None:
    with pytest.raises(LatencyError, match=f"bad cannot be timed: .*{message.removeprefix('cannot be timed: ')}"):
        sampled_apart({"bad": opened}, {1: 1}, threads=1)


def test_the_load_is_that_of_others() -> None:
    """A busy process counts unless it is said to be ours. The oracle is its own CPU time, little on a busy machine."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        start, used = time.perf_counter(), psutil.Process(busy.pid).cpu_times
        before = sum(used()[:2])
        with CpuLoad() as strange, CpuLoad([busy.pid]) as ours:
            time.sleep(1)
        cores = (sum(used()[:2]) - before) / (time.perf_counter() - start)
    finally:
        busy.kill()
        busy.wait()
    assert cores > 0
    assert strange.of_others - ours.of_others == pytest.approx(cores, abs=0.1 * cores + 0.03)  # clocks tick each 10 ms
