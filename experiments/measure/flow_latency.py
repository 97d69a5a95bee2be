"""CPU time of the networks that the flows' runs ended with, each beside its dense one.

    python -m experiments.measure.flow_latency --results results

takes a minute or two on one core, which should be idle, and writes
<results>/cpu_time/flows.json: of every run's last network and the dense one that it was cut from, with fresh weights of
the recorded widths, eager and in fp32, timed in turn. A run times its networks, too, but on whatever it trains on, busy
as that is; `python -m thesis_figures` takes these in their place. Run it again when there are new records: times of two
machines are not mixed, so all are taken anew."""

from dataclasses import dataclass
from pathlib import Path

import torch

from bcnn_prune.command_line.check import at_least, thread_counts
from bcnn_prune.evaluation.cpu_load import describe_load
from bcnn_prune.evaluation.latency import timed_in_turn
from bcnn_prune.files import require_writable, write_text
from bcnn_prune.model.init import fresh
from bcnn_prune.records import flow_latency
from bcnn_prune.records.flow_latency import FlowTimes, PairTimes, Shape
from bcnn_prune.records.json_file import to_json
from experiments.run import cli
from experiments.run.console import terminal
from experiments.run.provenance import provenance
from thesis_figures.analysis import runs


@dataclass(frozen=True)
class Settings:
    results: Path = Path("results")
    """The folder of records, where the times are put, too."""
    rounds: int = 30
    """Timed passes of each network."""
    threads: int = 1
    """Threads of torch: more do not help networks of a few milliseconds."""


def main(settings: Settings) -> None:
    at_least(1, rounds=settings.rounds)
    thread_counts(threads=settings.threads)
    console, shapes = terminal(), sorted(shapes_of(settings.results), key=repr)
    if not shapes:
        raise ValueError(
            f"no record of a cut in {runs.search_places(settings.results)}: run a flow first, with --results"
        )
    path = flow_latency.file_of(settings.results)
    require_writable(path, "--results")
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        console.print(f"{len(shapes)} networks, {settings.rounds} rounds each, threads: {settings.threads}")
        pairs = []
        for done, shape in enumerate(shapes, 1):
            pairs.append(timed(shape, settings.rounds))
            if done % 50 == 0 or done == len(shapes):  # seldom: writing to a screen takes time, too
                console.print(f"{done} of {len(shapes)} timed")
        times = FlowTimes(tuple(pairs), provenance(torch.device("cpu"), None))
    finally:
        torch.set_num_threads(threads)
    write_text(path, to_json(times))
    loads = [latency.load for pair in pairs for latency in pair.latency.values()]
    console.print(f"Written to {path}; {describe_load(loads)}.")


def shapes_of(results: Path) -> set[Shape]:
    """Each pair of networks of the records, once. Raises ValueError for a file that is no record."""
    return {shape for record in runs.read(results).values() if (shape := flow_latency.shape(record))}


def timed(shape: Shape, rounds: int) -> PairTimes:
    """A pair, timed in turn."""
    side, dense, pruned = shape
    specs = {"dense": dense, "pruned": pruned}
    networks = {name: fresh(spec, torch.Generator().manual_seed(0)) for name, spec in specs.items()}
    return PairTimes(side, dense, pruned, timed_in_turn(networks, side, rounds=rounds))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written; the same command times all again")
