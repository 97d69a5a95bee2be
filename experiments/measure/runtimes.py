"""CPU time of the thesis' published networks in each runtime.

    python -m experiments.measure.runtimes --prepare
    python -m experiments.measure.runtimes
    python -m experiments.measure.runtimes --multiples 8 16 --rounds 15 0

The first exports and quantises the networks, which takes some minutes and needs no quiet machine. The second times them
beside the unpruned network, eager, and takes about ten minutes on two otherwise idle cores. The third times widths
rounded up to multiples of 8 and 16. Each prints a table per network and adds it to runtimes.json; an interrupted
command resumes after the last finished network.

Networks have the published widths and random weights: time depends on neither weights nor images, as long as no number
is subnormal, and He's weights see to that. What int8 and bf16 do to accuracy is told by experiments.deploy."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from rich.console import Console

from bcnn_prune.command_line.check import thread_counts
from bcnn_prune.deployment.layer_profile import CALIBRATION, random_pixels
from bcnn_prune.deployment.packages import PACKAGES, require
from bcnn_prune.deployment.registry import supported
from bcnn_prune.deployment.variants import write_variants
from bcnn_prune.files import folder_lock, require_writable, write_text
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.checkpoint import CheckpointInfo, save
from bcnn_prune.model.init import fresh
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.records.latency import NetworkTimes, RuntimeRecord, read_times, to_json
from bcnn_prune.spec import ModelSpec
from data_prep.progress import progress_reporter
from experiments.run import cli, cpu, variant_latency
from experiments.run.console import terminal
from experiments.run.provenance import provenance, require_same_machine
from thesis_figures.analysis import reference

UNPRUNED = "unpruned"
METHODS = {"4.4": "one-shot", "4.5": "iterative", "4.6": "soft", "4.7": "one-shot, heavier last penalty"}
"""Pruning methods, by table of the thesis."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    rows: tuple[str, ...] = (UNPRUNED, "4.4@0.4", "4.4@0.6", "4.4@0.8", "4.7@0.4", "4.7@0.45")
    """Published networks, each as table@share that was cut, or unpruned."""
    family: Literal["aircraft", "birds", "cars"] = "cars"
    """Family of the rows."""
    multiples: tuple[int, ...] = (1,)
    """Round widths up to a multiple of each of these, but not above the unpruned network's; 1 leaves them."""
    rounds: tuple[int, int] = (15, 5)
    """Timed rounds of each runtime, at batch 1 and at batch 8; 0 leaves a batch size out."""
    threads: int | None = None
    """Threads of each runtime; as many as torch takes if not given."""
    side: int = reference.SIDE
    """Pixels."""
    prepare: bool = False
    """Only write the files that are timed."""
    files: Path = Path("runs/runtimes")
    """Folder of the exported files, some 300 MB per network; files that are there already are not made again."""
    out: Path = Path("runs/runtimes")
    """Folder of runtimes.json."""
    published: Path = Path("results/reference/thesis_results.csv")
    """The thesis' rows."""

    def check(self) -> None:
        """Raise ValueError for a value that cannot work."""
        if not self.rows or not self.multiples:
            raise ValueError(f"no network: name --rows, such as {UNPRUNED} or 4.4@0.6, and --multiples, such as 1")
        if min(self.multiples) < 1:
            raise ValueError(f"--multiples has {min(self.multiples)}: take 1 to leave widths as they are, or 8 or 16")
        if self.side < 16:
            raise ValueError(f"--side is {self.side}: take 16 px or more")
        thread_counts(threads=self.threads)
        variant_latency.check_rounds(self.rounds)


@dataclass(frozen=True)
class Chosen:
    """A network to time."""

    name: str
    multiple: int
    spec: ModelSpec
    unpruned: ModelSpec

    @property
    def plan(self) -> ChannelPlan:
        """The first channels of every layer: which ones does not matter."""
        return ChannelPlan({layer: tuple(range(width)) for layer, width in self.spec.width_of.items()})

    def info(self, side: int) -> CheckpointInfo:
        names = tuple(f"class {i}" for i in range(self.spec.classes))
        return CheckpointInfo(ModelCard(self.spec, names, "random pixels", side), self.unpruned, self.plan)

    def is_of(self, timed: NetworkTimes, side: int) -> bool:
        """True for times of this network at this side."""
        shape = (timed.network, timed.multiple, timed.spec, timed.side)
        return shape == (self.name, self.multiple, self.spec, side)


def main(settings: Settings) -> None:
    settings.check()
    require(*PACKAGES)
    console, path = terminal(), settings.out / "runtimes.json"
    require_writable(path, "--out")
    require_writable(settings.files / "made.txt", "--files")
    networks = list(chosen(settings))
    threads = settings.threads or torch.get_num_threads()
    with ExitStack() as stack:
        for folder in sorted({settings.files.resolve(), settings.out.resolve()}):
            stack.enter_context(
                folder_lock(folder, partial(console.print, f"Waiting for another process in {folder}."))
            )
        record = read_times(path) if path.is_file() else RuntimeRecord(())
        machine = machine_of(threads)
        for times in record.networks:
            require_same_machine(times.provenance, machine, ("cpu", "instructions", "threads"), path)
        for number, network in enumerate(networks, 1):
            what = f"network {number} of {len(networks)}: {title(network.name, network.multiple)}"
            before = [times for times in record.networks if network.is_of(times, settings.side)]
            if any(batches_of(times) >= batches_asked(settings) for times in before) and not settings.prepare:
                console.print(f"{what}: timed before")
                continue
            timed_before = set[int]().union(*map(batches_of, before))
            if not settings.prepare and (lost := timed_before - batches_asked(settings)):
                raise ValueError(
                    f"{path} has times of {title(network.name, network.multiple)} at batch {min(lost)}, taken together "
                    "with those of other batches: give --rounds of both, or name another --out"
                )
            console.rule(what)
            folder = prepared(network, settings.files, settings.side, console)
            if not settings.prepare:
                others = (times for times in record.networks if times not in before)
                record = RuntimeRecord((*others, timed(network, folder, settings, threads, machine, console)))
                write_text(path, to_json(record))
    if not settings.prepare:
        console.print(f"Written to {path}")


def batches_of(times: NetworkTimes) -> set[int]:
    """The batch sizes that every way was timed with."""
    return set.intersection(*({timing.latency.batch for timing in way} for way in times.times.ways.values()))


def batches_asked(settings: Settings) -> set[int]:
    return {batch for batch, rounds in zip(variant_latency.BATCHES, settings.rounds, strict=True) if rounds}


def chosen(settings: Settings) -> Iterator[Chosen]:
    """Each row in each multiple that changes it. Raises ValueError for a row that is not there."""
    rows = [row for row in reference.read(settings.published) if row.family == settings.family]
    specs = {f"{row.table}@{row.rate:g}": row for row in rows if row.rate and row.spec is not None}
    (classes,) = {row.classes for row in rows}
    whole = ModelSpec.of(reference.BACKBONE, classes)
    for text in settings.rows:
        if text != UNPRUNED and text not in specs:
            raise ValueError(f"no widths of {text} for {settings.family}: take {UNPRUNED}, {', '.join(specs)}")
        row = specs.get(text)
        spec, name = whole, UNPRUNED
        if row is not None and row.spec is not None:
            spec, name = row.spec, f"{METHODS[row.table]}, {row.rate:.0%} cut"
        for multiple in dict.fromkeys(settings.multiples):
            rounded = rounded_up(spec, multiple, whole)
            if multiple == 1 or rounded != spec:
                yield Chosen(name, multiple, rounded, whole)


def rounded_up(spec: ModelSpec, multiple: int, unpruned: ModelSpec) -> ModelSpec:
    """Every width up to a multiple, or to all that the unpruned network has."""
    widths = zip(spec.widths, unpruned.widths, strict=True)
    return replace(spec, widths=tuple(min(-(-width // multiple) * multiple, most) for width, most in widths))


def title(network: str, multiple: int) -> str:
    """A network's name with what its widths were rounded to."""
    return network if multiple == 1 else f"{network}, widths in multiples of {multiple}"


def prepared(network: Chosen, files: Path, side: int, console: Console) -> Path:
    """The folder with the network's checkpoint and the files of its variants, written unless they are there."""
    info, vnni = network.info(side), cpu.has_int8_dot_product()
    widths = "-".join(map(str, network.spec.widths))
    folder = files / f"{side}px-{network.spec.classes}-{widths}"
    made, wanted = folder / "made.txt", f"{info}\n8-bit weights: {vnni}\n{versions()}\n"
    if made.is_file() and made.read_text(encoding="utf-8") == wanted:
        return folder
    console.print(f"Exporting and quantising, to {folder}")
    generator = torch.Generator().manual_seed(0)
    model = fresh(network.spec, generator).eval()
    save(folder / "model.safetensors", model, info)
    images = np.split(random_pixels(side, CALIBRATION), CALIBRATION)
    write_variants(folder, model, info.card, images, keep=(), vnni=vnni)
    write_text(made, wanted)
    return folder


def timed(
    network: Chosen, folder: Path, settings: Settings, threads: int, machine: dict[str, str], console: Console
) -> NetworkTimes:
    """All ways of one network, timed and shown."""
    with progress_reporter(console, "rounds") as report:
        times = variant_latency.measure(
            folder / "model.safetensors", folder, supported(), settings.rounds, threads, report
        )
    console.print(
        variant_latency.table(times, f"{title(network.name, network.multiple)}: CPU time at {settings.side} px")
    )
    return NetworkTimes(
        network=network.name,
        multiple=network.multiple,
        spec=network.spec,
        unpruned=network.unpruned,
        side=settings.side,
        vnni=cpu.has_int8_dot_product(),
        times=times,
        provenance=machine | {"finished": provenance(torch.device("cpu"), None)["finished"]},
    )


def machine_of(threads: int) -> dict[str, str]:
    return {**provenance(torch.device("cpu"), None), **versions(), "threads": str(threads)}


def versions() -> dict[str, str]:
    """Versions of the packages that export and compute."""
    return {package: version(package) for package in PACKAGES}


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="networks that were timed are kept; the same command goes on")
