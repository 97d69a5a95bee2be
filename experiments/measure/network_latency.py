"""Does CPU time follow parameters or multiply-adds? The field's networks beside ours.

    python -m experiments.measure.network_latency --out results/cpu_time

takes five minutes on two idle cores and 8 GB and writes one record a batch, batch1.json and batch8.json: forward time
of each network with fresh weights, eager and in fp32, contiguous and channels-last, each in a process of its own, all
alternating; next to it parameters, multiply-adds and, of ours, the most that activations take at once. A record that
is there is not made again, so a run that was stopped goes on with the next batch. `python -m thesis_figures` draws and
tabulates.

Lines are printed between batches only: a screen that moves would take time from what is timed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from bcnn_prune.command_line.check import at_least, some, thread_counts
from bcnn_prune.evaluation import cost
from bcnn_prune.evaluation.isolated_latency import Open, timed_apart
from bcnn_prune.evaluation.latency import Pass
from bcnn_prune.files import require_writable, write_text
from bcnn_prune.model.init import fresh
from bcnn_prune.records import Cost
from bcnn_prune.records.json_file import to_json
from bcnn_prune.records.network_latency import LAYOUTS, CpuTimes, Timed, file_of, read_one
from bcnn_prune.spec import ModelSpec
from experiments.measure import counters
from experiments.run import cli
from experiments.run.console import terminal
from experiments.run.provenance import provenance, require_same_machine
from thesis_figures.analysis import reference
from thesis_figures.tables.formats import as_markdown
from thesis_figures.tables.network_latency import table

PUBLISHED = {"BCNN −40 %": ("4.4", 0.4), "BCNN −45 %": ("4.7", 0.45), "BCNN −60 %": ("4.4", 0.6)} | {
    "BCNN −80 %": ("4.4", 0.8)
}
"""Table and rate. The first two have the same multiply-adds, and the second a fifth of the first's parameters."""
UNPRUNED = "BCNN"


@dataclass(frozen=True)
class Settings:
    batches: tuple[int, ...] = (1, 8)
    rounds: tuple[int, ...] = (10, 6)
    """Timed passes, for each batch."""
    threads: int | None = None
    """All cores, unless told."""
    out: Path = Path("runs/cpu_time")
    """Folder of the records."""
    published: Path = Path("results/reference/thesis_results.csv")
    """The thesis' rows, for the widths of its pruned networks."""


@dataclass(frozen=True)
class Network:
    """A network to time: a BCNN of some widths, or timm's network of that name."""

    name: str
    classes: int
    spec: ModelSpec | None

    @property
    def source(self) -> str:
        if self.spec is None:
            return f"timm {counters.PEERS[self.name]}"
        return f"thesis table {PUBLISHED[self.name][0]}" if self.name in PUBLISHED else "thesis 3.2"

    def cost(self, side: int) -> Cost:
        if self.spec is None:
            return counters.peer(self.name, self.classes, side).cost
        return cost.total_cost(self.spec, side)

    def peak_activation_bytes(self, side: int) -> int | None:
        """Bytes of one image in fp32; None for the field's networks, whose layers are not described here."""
        return None if self.spec is None else cost.peak_activation_bytes(self.spec, side)


def networks(published: Path) -> list[Network]:
    """Ours and the field's, for the classes of cars."""
    specs = counters.networks(reference.read(published), PUBLISHED)
    (classes,) = {spec.classes for spec in specs.values()}
    ours = [Network(name if name in PUBLISHED else UNPRUNED, classes, spec) for name, spec in specs.items()]
    return ours + [Network(name, classes, None) for name in counters.PEERS]


def opened(network: Network, layout: str, batch: int, side: int) -> Pass:
    """Make the network in the process that times it."""
    generator = torch.Generator().manual_seed(0)
    if network.spec is not None:
        model: torch.nn.Module = fresh(network.spec, generator).eval()
    else:
        model = counters.peer_network(network.name, network.classes)
    form = torch.channels_last if layout == "channels-last" else torch.contiguous_format
    images = (torch.rand(batch, 3, side, side, generator=generator) * 2 - 1).contiguous(memory_format=form)
    model = model.to(memory_format=form)

    @torch.inference_mode()
    def run() -> Tensor:
        logits: Tensor = model(images)
        return logits

    return run


def timed(shown: list[Network], batch: int, side: int, rounds: int, threads: int) -> CpuTimes:
    """All networks in both layouts, in turn."""
    runtimes: Mapping[str, Open] = {
        f"{network.name}, {layout}": partial(opened, network, layout, batch, side)
        for network in shown
        for layout in LAYOUTS
    }
    latencies = timed_apart(runtimes, batch, threads, rounds)
    rows = tuple(
        Timed(
            network.name,
            network.source,
            network.cost(side),
            network.peak_activation_bytes(side),
            {layout: latencies[f"{network.name}, {layout}"] for layout in LAYOUTS},
        )
        for network in shown
    )
    return CpuTimes(batch, side, shown[0].classes, rows, machine_of(threads))


def machine_of(threads: int) -> dict[str, str]:
    return {**provenance(torch.device("cpu"), None), "threads": str(threads)}


def main(settings: Settings) -> None:
    some("1 8", batches=settings.batches)
    at_least(1, batches=settings.batches, rounds=settings.rounds)
    thread_counts(threads=settings.threads)
    if len(settings.rounds) != len(settings.batches):
        raise ValueError(f"--rounds is {settings.rounds}: give one for each of the {len(settings.batches)} batches")
    for batch in settings.batches:
        require_writable(file_of(settings.out, batch), "--out")
    console, threads = terminal(), settings.threads or torch.get_num_threads()
    shown, records = networks(settings.published), list[CpuTimes]()
    for batch, rounds in zip(settings.batches, settings.rounds, strict=True):
        records.append(_of_batch(shown, batch, rounds, threads, settings, console))
    console.print(as_markdown(table(records)))


def _of_batch(
    shown: list[Network], batch: int, rounds: int, threads: int, settings: Settings, console: Console
) -> CpuTimes:
    path = file_of(settings.out, batch)
    if path.exists():
        times = read_one(path)
        require_same_machine(times.provenance, machine_of(threads), ("cpu", "threads"), path)
        console.print(f"batch {batch}: timed before, in {path}; remove it to time again")
        return times
    console.print(f"batch {batch}: {len(shown)} networks in {len(LAYOUTS)} layouts, {rounds} rounds, {threads} threads")
    times = timed(shown, batch, counters.SIDE, rounds, threads)
    write_text(path, to_json(times))
    console.print(f"batch {batch}: written to {path}")
    return times


if __name__ == "__main__":
    cli.run(
        main, Settings, __doc__, interrupted="finished batches are saved, and the same command goes on with the next"
    )
