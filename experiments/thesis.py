"""Run all of thesis chapter 4: every flow, rate and seed, for one data set or all three.

    python -m experiments.thesis --dataset cars

runs all that tables 4.3 to 4.7 and the figures of these flows need, on real images or, where there are none, on a
synthetic set, and reports its progress and the time left. It may be interrupted and started again: a finished run is
found by its settings, an unfinished one resumes from its last whole epoch, and phases that runs share are trained once.
A seed of the synthetic cars took 23 minutes with Ray on two cores of an AMD EPYC in fp32, and one of --classes 50 36.
--results results also puts the records where `python -m thesis_figures` reads them, and runs only what has none there;
--results and an empty folder makes all of them anew.

With the extra `cluster`, Ray trains as many phases at once as this machine has cores or GPUs, and with --address as a
cluster has. Each run then logs to its folder, runs/<flow>/<set>/<name>: a file per phase, and log.txt for its end."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from bcnn_prune.command_line.check import at_least, one_of
from bcnn_prune.command_line.parse import option
from bcnn_prune.datasets import OFFICIAL
from bcnn_prune.protocol import RunAborted
from experiments.grid import ray_pool, serial
from experiments.grid.planning import GridSettings, planned_runs
from experiments.grid.state import GridState
from experiments.run import cli, datasets, distributed
from experiments.run.console import terminal
from experiments.run.device import device_for

ON_RAY = ("address", "cpus", "cpus_per_run", "gpus_per_run")


@dataclass(frozen=True, kw_only=True)
class Settings(GridSettings):
    """The settings of all runs, the data sets and seeds, and the place of the records."""

    dataset: str = "all"
    """aircraft, birds or cars; a synthetic set, a prepared subset or your own set; or all: the first three."""
    flows: tuple[str, ...] = ()
    """Only these flows, such as oneshot soft; all if not given."""
    seeds: int = 1
    """Number of seeds, from --seed on."""
    results: Path | None = None
    """Also write each record to <results>/<experiment>/<set>/<name>.json; a run that has one there is not run."""
    backend: Annotated[Literal["auto", "local", "ray", "here"], tyro.conf.arg(aliases=("--on",))] = "auto"
    """local (formerly here) trains one run after the other in this process, ray many at once, on this machine or a
    cluster; auto takes Ray where it is installed and torch sees more than one core or GPU."""
    address: str | None = None
    """On Ray: the cluster to join, auto or ray://host:10001; this machine alone if not given."""
    cpus: int | None = None
    """On Ray, on this machine: how many of its cores to use; all if not given."""
    cpus_per_run: int | None = None
    """On Ray: cores, and torch's threads, of a run; 1, or a GPU's share of its machine's cores."""
    gpus_per_run: float | None = None
    """On Ray: 1 where there are GPUs; a part, such as 0.5, puts several runs on one; 0 leaves them alone."""
    retries: int = 3
    """On Ray: retries of a run whose worker was killed, each from its last whole epoch."""

    def takes_ray(self) -> bool:
        """True to train on Ray."""
        if self.backend != "auto" or self._ray_options():
            return self.backend not in ("local", "here")
        at_once = torch.cuda.device_count() if device_for(self.device).type == "cuda" else torch.get_num_threads()
        return at_once > 1 and ray_pool.installed()

    def workers(self) -> ray_pool.Workers:
        """Options of Ray. Raises ValueError for what cannot work."""
        return ray_pool.Workers(
            self.address, self.cpus, self.cpus_per_run, self.gpus_per_run, self.retries, self.device != "cpu"
        )

    def _ray_options(self) -> list[str]:
        """The options given that only Ray has."""
        return [name for name in ON_RAY if getattr(self, name) is not None]

    def check(self) -> None:
        super().check()
        if distributed.world() > 1:
            raise ValueError("the grid is many runs: give torchrun one flow, or the grid --backend ray")
        if self.takes_ray():
            self.workers()
        elif given := self._ray_options():
            raise ValueError(f"{option(given[0])} means nothing with --backend local")
        at_least(1, seeds=self.seeds)
        if self.dataset == "all" and self.data is not None:
            raise ValueError("--data names one file: name its --dataset too")


def main(settings: Settings) -> None:
    settings.check()
    console = terminal()
    in_thesis = tuple(family for family, official in OFFICIAL.items() if official.in_thesis)
    sets = in_thesis if settings.dataset == "all" else (settings.dataset,)
    infos = [datasets.find_dataset(name, settings.data, settings.classes, console)[1] for name in sets]
    seeds = range(settings.seed, settings.seed + settings.seeds)
    runs = [(info, flow) for seed in seeds for info in infos for flow in planned_runs(settings, info, seed)]
    if settings.flows:
        one_of(dict.fromkeys(flow.experiment for _, flow in runs), flows=settings.flows)
        runs = [(info, flow) for info, flow in runs if flow.experiment in settings.flows]
    grid = GridState.of(runs)
    finished = len(runs) - len(grid.left()) - len(grid.failed)
    console.print(f"{len(runs)} runs in all, {finished} finished before.")
    if grid.failed:
        console.print(f"{len(grid.failed)} of them cannot be trained: {reasons(grid)}", style="bold")
    if settings.takes_ray():
        ray_pool.run(grid, settings.workers(), console)
    else:
        serial.run(grid, console)
    console.rule(f"{len(runs) - len(grid.failed)} of {len(runs)} runs finished")
    if grid.failed:
        raise RunAborted(f"{len(grid.failed)} runs came to no result: {reasons(grid)}")


def reasons(grid: GridState) -> str:
    """Reasons for which runs failed: each once, after the names of its runs."""
    named: dict[str, list[str]] = {}
    for position, reason in sorted(grid.failed.items()):
        named.setdefault(reason, []).append(grid.name(position))
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in named.items())


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
