"""Does a CPU gain from weights that are zero one by one?

    python -m experiments.measure.sparse_times
    python -m experiments.measure.sparse_times --width 0.25 --side 64

Exports a bilinear CNN with fresh weights three times: dense, with nine tenths of its single weights at zero (LAMP), and
with channels so few that about as many weights are left. Times all files in each runtime, in turn, each beside its
dense one; OpenVINO's int8 also as told to pack weights that are at least half zeros
(CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE). Prints a table and writes it as JSON. The first command takes two and a half
minutes on two idle cores, and 2 GB of disk meanwhile."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from rich.table import Table

from bcnn_prune.command_line.check import at_least, more_than, one_of, shares, some, thread_counts
from bcnn_prune.command_line.parse import Share
from bcnn_prune.compression.sparse import magnitude_pruned
from bcnn_prune.deployment.layer_profile import CALIBRATION, random_pixels
from bcnn_prune.deployment.packages import PACKAGES, require
from bcnn_prune.deployment.registry import VARIANTS, open_openvino, supported
from bcnn_prune.deployment.runtime import Opener
from bcnn_prune.deployment.variants import write_variants
from bcnn_prune.evaluation.cpu_load import describe_load
from bcnn_prune.evaluation.isolated_latency import sampled_apart
from bcnn_prune.evaluation.latency import Samples
from bcnn_prune.files import json_text, require_same_settings, require_writable, write_text
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.init import fresh
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.spec import ModelSpec
from experiments.run import cli, cpu
from experiments.run.console import terminal
from experiments.run.provenance import provenance
from experiments.run.variant_latency import opened

DENSE, SPARSE, NARROW = "dense", "sparse", "narrow"
PACKED = "openvino-int8-packed"
PACK_FROM = 0.5
"""Share of zeros from which OpenVINO is told to pack weights."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    share: Share = 0.9
    """Of the weights, to be zero."""
    width: float = 1.0
    """Channels of every layer as a multiple of VGG-16's."""
    side: int = 224
    """Pixels."""
    classes: int = 196
    batch: int = 1
    """Images of a forward pass."""
    rounds: int = 15
    """Timed passes of each file."""
    threads: int | None = None
    """Threads of each runtime; as many as torch takes if not given."""
    runtimes: tuple[str, ...] | None = None
    """Runtimes to time, by name; all that this processor can compute in, if not given."""
    out: Path = Path("runs/sparse_times")
    """Folder of the times."""


def networks(settings: Settings) -> Iterator[tuple[str, BilinearCNN]]:
    """Each network with its name."""
    dense = ModelSpec.of("vgg16", settings.classes, settings.width)
    model = fresh(dense, torch.Generator().manual_seed(0)).eval()
    yield DENSE, model
    yield SPARSE, magnitude_pruned(model, settings.share)
    # Weights go with the square of the width, but for the first layer's.
    narrow = ModelSpec.of("vgg16", settings.classes, settings.width * (1 - settings.share) ** 0.5)
    yield NARROW, fresh(narrow, torch.Generator().manual_seed(0)).eval()


def write_files(folder: Path, settings: Settings) -> dict[str, int]:
    """Write the files of each network to a folder of its name; return how many weights each has that are not zero."""
    pixels, left = random_pixels(settings.side, CALIBRATION), {}
    for name, model in networks(settings):
        card = ModelCard(model.spec, tuple(map(str, range(settings.classes))), "random pixels", settings.side)
        (folder / name).mkdir()
        write_variants(folder / name, model, card, [pixels], keep=(), vnni=cpu.has_int8_dot_product())
        left[name] = sum(int(parameter.count_nonzero()) for parameter in model.parameters())
    return left


def openers() -> dict[str, tuple[str, Opener]]:
    """File and opener of each runtime."""
    found = {name: (file, VARIANTS[name].open) for name in supported() if (file := VARIANTS[name].file)}
    return {**found, PACKED: ("model-int8.xml", partial(open_openvino, pack_zeros_from=PACK_FROM))}


def timed(
    folder: Path, settings: Settings, runtimes: Mapping[str, tuple[str, Opener]], threads: int
) -> Iterator[tuple[str, Samples]]:
    """The three files of each runtime, timed in turn."""
    for runtime, (file, opener) in runtimes.items():
        ways = {name: partial(opened, opener, folder / name / file, threads) for name in (DENSE, SPARSE, NARROW)}
        (samples,) = sampled_apart(ways, {settings.batch: settings.rounds}, threads)
        yield runtime, samples


def main(settings: Settings) -> None:
    at_least(1, batch=settings.batch, rounds=settings.rounds)
    thread_counts(threads=settings.threads)
    at_least(2, classes=settings.classes)
    at_least(16, side=settings.side)
    more_than(0, width=settings.width)
    shares(share=settings.share)
    require(*PACKAGES)
    known = openers()
    chosen = tuple(known) if settings.runtimes is None else settings.runtimes
    some(" ".join(known), runtimes=chosen)
    one_of(known, runtimes=chosen)
    console, threads = terminal(), settings.threads or torch.get_num_threads()
    path = settings.out / f"sparse{settings.share:g}-side{settings.side}-width{settings.width:g}.json"
    require_writable(path, "--out")
    asked = {name: value for name, value in {**vars(settings), "threads": threads}.items() if name != "out"}
    require_same_settings(path, {"settings": asked}, "--out")
    found = {}
    with TemporaryDirectory() as folder:
        console.print("Exporting and quantising three networks")
        weights = write_files(Path(folder), settings)
        for runtime, samples in timed(Path(folder), settings, {name: known[name] for name in chosen}, threads):
            found[runtime] = samples
            console.print(f"{runtime}: timed")
    console.print(table(found, weights, settings))
    told = {
        "settings": asked,
        "weights": weights,
        "ms": {runtime: samples.ms for runtime, samples in found.items()},
        "load": {runtime: samples.load for runtime, samples in found.items()},
        "provenance": {**provenance(torch.device("cpu"), None), **{name: version(name) for name in PACKAGES}},
    }
    write_text(path, json_text(told))
    console.print(f"Written to {path}")


def table(found: Mapping[str, Samples], weights: Mapping[str, int], settings: Settings) -> Table:
    """One row per runtime."""
    spread = "{0.median:.2f} [{0.lower_quartile:.2f}-{0.upper_quartile:.2f}]"
    title = f"{settings.side} px, batch {settings.batch}: how many times as fast as dense"
    shown = Table("runtime", title=title)
    for column in ("dense, ms [quartiles]", f"{settings.share:.0%} of the weights zero", "as few weights, narrow"):
        shown.add_column(column, justify="right")
    for runtime, samples in found.items():
        dense = samples.latency(DENSE)
        ms = f"{dense.median_ms:.2f} [{dense.lower_quartile_ms:.2f}-{dense.upper_quartile_ms:.2f}]"
        shown.add_row(runtime, ms, *(spread.format(samples.speed_up(name, to=DENSE)) for name in (SPARSE, NARROW)))
    counts = ", ".join(f"{name} {count:,}" for name, count in weights.items())
    load = describe_load(samples.load for samples in found.values())
    shown.caption = f"median and quartiles of {settings.rounds} rounds; parameters that are not zero: {counts}; {load}"
    return shown


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written")
