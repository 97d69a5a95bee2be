"""A grid on Ray: a task per phase and one per run's end, as many at once as this machine, or a cluster, has room for.

Each phase is trained once, whichever runs need it. A task holds references to the phases that it needs, and Ray starts
it when these have ended. A worker that is killed loses the epoch it was in: Ray retries its task, which resumes from
the last checkpoint. The machines of a cluster must see the working directory under the same path."""

import os
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from bcnn_prune.command_line.check import at_least
from bcnn_prune.cores import usable_cores
from experiments.grid.dashboard import Dashboard
from experiments.grid.state import GridState, Task, in_one_line
from experiments.run import distributed
from experiments.run.flow import Phase

OBJECT_STORE = 80_000_000  # bytes, near the least that Ray takes: networks pass between tasks through the cache
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
POLL_SECONDS = 1.0  # seconds from one look at the workers to the next


def installed() -> bool:
    """True if Ray, which comes with an extra, is installed."""
    return find_spec("ray") is not None


@dataclass(frozen=True)
class Workers:
    """Machines of a grid, and the resources of each task."""

    address: str | None
    """A cluster's; None for this machine alone."""
    cpus: int | None
    """Cores of this machine; None for all."""
    cpus_per_run: int | None
    gpus_per_run: float | None
    retries: int
    may_use_gpus: bool

    def __post_init__(self) -> None:
        at_least(1, cpus=self.cpus, cpus_per_run=self.cpus_per_run)
        if self.address is not None and self.cpus is not None:
            raise ValueError("--cpus is for this machine: a cluster that --address joins has the cores it has")
        if self.gpus_per_run is not None and not 0 <= self.gpus_per_run <= 1:
            raise ValueError(f"--gpus-per-run is {self.gpus_per_run}: take 0 to 1, a run of the grid uses one GPU")
        at_least(0, retries=self.retries)
        if not installed():
            raise ValueError("--backend ray needs Ray: pip install --editable '.[cluster]'")


@dataclass(frozen=True)
class RunResources:
    """Resources of a task, and how many tasks have them at once."""

    cpus: int
    gpus: float
    at_once: int


def share(workers: Workers, machines: Sequence[Mapping[str, float]]) -> RunResources:
    """The share of a run on machines with so many CPU and GPU each. Raises ValueError where no run would fit."""
    with_gpus = [machine for machine in machines if machine.get("GPU")]
    gpus = workers.gpus_per_run
    if gpus is None:
        gpus = 1 if with_gpus and workers.may_use_gpus else 0
    cpus = workers.cpus_per_run
    if cpus is None:
        cores_per_gpu = [int(machine.get("CPU", 0) * gpus / machine["GPU"]) for machine in with_gpus]
        cpus = max(1, min(cores_per_gpu, default=1)) if gpus else 1

    at_once = fitting(cpus, gpus, machines)
    if not at_once:
        most = max((machine.get("CPU", 0) for machine in machines), default=0)
        raise ValueError(
            f"no machine has {cpus} cores and {gpus:g} GPUs for a run (the largest has {most:g} cores, "
            f"{len(with_gpus)} of {len(machines)} have GPUs): lower --cpus-per-run or --gpus-per-run"
        )
    return RunResources(cpus, gpus, at_once)


def fitting(cpus: int, gpus: float, machines: Sequence[Mapping[str, float]]) -> int:
    """How many tasks of so many cores and GPUs the machines hold at once; a part of a GPU is of one GPU."""

    def on(machine: Mapping[str, float]) -> int:
        by_cpu, of_gpu = int(machine.get("CPU", 0) // cpus), machine.get("GPU", 0)
        if not gpus:
            return by_cpu
        return min(by_cpu, int(of_gpu) * int(1 / gpus + 1e-6))

    return sum(map(on, machines))


def run(grid: GridState, workers: Workers, console: Console) -> None:
    """Train what is left of `grid`. A run that ends in an error, or whose workers die again and again, fails alone."""
    if grid.left():
        with joined(workers) as ray:
            train(ray, grid, workers, console)


def train(ray: Any, grid: GridState, workers: Workers, console: Console) -> None:
    """`run` on a Ray that is there."""
    each = share(workers, _machines(ray))
    console.print(f"{each.at_once} tasks at once, each with {each.cpus} cores and {each.gpus:g} GPUs.")
    console.print("Each run logs to its folder: a file per phase that it trains, and log.txt for its end.")
    in_flight = _submitted(ray, grid.tasks(), each, workers.retries)
    failures: dict[Phase, str] = {}
    try:
        with Dashboard(console, grid) as board:
            while in_flight:
                at_once = fitting(each.cpus, each.gpus, _machines(ray))  # machines come and go
                board.show([task for task in in_flight.values() if task.log.exists()], at_once)
                for reference in ray.wait(list(in_flight), timeout=POLL_SECONDS)[0]:
                    task = in_flight.pop(reference)
                    reasons = (failures[phase] for phase in task.after if phase in failures)
                    failure = next(reasons, None) or _failure(ray, reference, task.log)
                    if task.phase is None:
                        grid.ended(task.run, failure)
                        board.ended(task.run, at_once)
                    elif failure:
                        failures[task.phase] = failure
                    else:
                        grid.trained.add(task.phase)
    except BaseException:
        _call_off(ray, in_flight)
        raise


def _call_off(ray: Any, in_flight: Mapping[Any, Task]) -> None:
    """Cancel the tasks that wait for no other; the others fail with what they wait for.

    Ray 2.60 aborts the whole process where a cancelled task's arguments arrive meanwhile ("Tried to complete task that
    was not pending")."""
    unfinished = {task.phase for task in in_flight.values()}
    for reference, task in in_flight.items():
        if unfinished.isdisjoint(task.after):
            ray.cancel(reference, force=True)


def _submitted(ray: Any, tasks: Sequence[Task], each: RunResources, retries: int) -> dict[Any, Task]:
    """All tasks by their references, each given those of the phases that it waits for."""
    remote = ray.remote(_attempt).options(
        num_cpus=each.cpus, num_gpus=each.gpus, max_retries=retries, retry_exceptions=False
    )
    for task in tasks:
        task.log.unlink(missing_ok=True)
    phases: dict[Phase, Any] = {}
    in_flight = {}
    for task in tasks:
        before = [phases[phase] for phase in task.after if phase in phases]
        reference = remote.remote(task, Path.cwd(), each, *before)
        in_flight[reference] = task
        if task.phase is not None:
            phases[task.phase] = reference
    return in_flight


def _attempt(task: Task, folder: Path, each: RunResources, *failures: str | None) -> str | None:
    """Do a task in a worker; return the reason where it fails, or where a phase that it needs has failed."""
    if any(failures):
        return next(filter(None, failures))
    os.chdir(folder)  # where relative paths begin, as they do for who gave the command
    if not each.gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ[distributed.RUNS_HERE] = str(max(1, min(each.at_once, usable_cores() // each.cpus)))
    torch.set_num_threads(each.cpus)
    task.log.parent.mkdir(parents=True, exist_ok=True)
    with task.log.open("a", buffering=1, encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        print(f"process {os.getpid()} on {socket.gethostname()}, {each.cpus} threads")
        return task.attempt()


def _failure(ray: Any, reference: Any, log: Path) -> str | None:
    """The reason for which a task failed; None if it did not."""
    try:
        reason: str | None = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        return in_one_line(error.cause or error)
    except ray.exceptions.RayError as error:
        return f"its workers died, the last one of {type(error).__name__} (see {log})"
    return reason


def configure(address: str | None) -> None:
    """Set what Ray reads from the environment at its first import, and never again in this process.

    Nothing is reported to its makers, and a Ray that is started here leaves nothing in the home folder."""
    os.environ.update(QUIET)
    if address is None and "RAY_AUTH_MODE" not in os.environ:  # else Ray makes a token and keeps it in the home folder
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))


@contextmanager
def joined(workers: Workers) -> Iterator[Any]:
    """Ray, started on this machine or joined."""
    configure(workers.address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if workers.address is None:
        options |= {"num_cpus": workers.cpus, "include_dashboard": False, "object_store_memory": OBJECT_STORE}
    elif workers.address.startswith("ray://"):
        # Ray hands the working directory on as a place to import from, but not through its client.
        options["runtime_env"] = {"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2])}}
    import ray

    try:
        ray.init(address=workers.address or "local", **options)
    except (OSError, RuntimeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if workers.address is None:
            raise ValueError(f"Ray does not start on this machine, --backend local does without: {reason}") from error
        raise ValueError(f"--address {workers.address}: cannot join a Ray cluster there: {reason}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _machines(ray: Any) -> list[Mapping[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]
