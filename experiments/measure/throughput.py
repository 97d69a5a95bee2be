"""Training throughput: our loop against the usual one.

    python -m experiments.measure.throughput
    python -m experiments.measure.throughput --side 224 --batch 48 --classes 196 --rounds 1 --warm-up 1 --steps 1

The first takes about four minutes on two idle cores and prints a table: images per second of each loop, its speed-up
over the usual loop, the share of the machine's measured matrix-product peak, and the largest memory. The second
gives the memory of the thesis' own setting in some three minutes and 9 GB. Both leave the raw timings in
runs/throughput.

The usual loop decodes JPEG files with PIL in DataLoader workers, changes them one by one with torchvision and trains in
fp32; ours is `fit` on the HDF5 file prepared from the same files. Every loop runs alone in a process of its own, all of
them in turn, round after round: timed in one process, their thread pools would disturb each other. The JPEG files are
made for the occasion: they lie in the page cache and decode faster than photographs, which favours the usual loop."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from bcnn_prune.command_line.check import at_least
from bcnn_prune.cores import usable_cores
from bcnn_prune.datasets import DatasetName
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.files import json_text, require_same_settings, require_writable, write_text
from bcnn_prune.spec import ModelSpec
from data_prep.examples import Example
from data_prep.photos import Photo
from data_prep.progress import progress_reporter
from data_prep.write import Report, write
from experiments.measure.drawn_photos import draw
from experiments.measure.training_loops import JSON, LOOPS, LoopJob, LoopTiming, Work
from experiments.run import cli
from experiments.run.console import terminal
from experiments.run.device import autocast_for, device_for
from experiments.run.isolated import run_module_isolated
from experiments.run.provenance import provenance

USUAL, OURS = "usual", "ours"
PHOTOS = 160  # different files; where more images are asked for, these come again (in the page cache they lie anyway)
BATCH = {"cpu": 16, "cuda": 48}
WARM_UP = {"cpu": 2, "cuda": 20}  # on a GPU as many as empty what workers have ready by the end of the slow first step
STEPS = {"cpu": 8, "cuda": 60}
LEAST = {"side": 16, "batch": 1, "rounds": 1, "warm_up": 1, "steps": 1, "workers": 0}
MOST_WORKERS = {"cpu": 4, "cuda": 8}  # on a CPU they take turns with the training itself


@dataclass(frozen=True, kw_only=True)
class Settings:
    side: int = 128
    """Pixels."""
    width: float = 1.0
    """Channels of every layer as a multiple of VGG-16's."""
    batch: int | None = None
    """Images per step; 16 on a CPU, 48 on a GPU."""
    rounds: int = 5
    """Timed rounds of each loop."""
    warm_up: int | None = None
    """Steps before the timed ones; 2 on a CPU, 20 on a GPU."""
    steps: int | None = None
    """Timed steps of each loop in a round; 8 on a CPU, 60 on a GPU."""
    classes: int = 20
    workers: int | None = None
    """DataLoader workers of the usual loop; one a core, but 4 at most on a CPU and 8 at most beside a GPU."""
    photo: tuple[int, int] = (500, 375)
    """Width and height of the JPEG files in pixels: like most of CUB-200-2011, the smallest of the three real sets."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    out: Path = Path("runs/throughput")
    """Folder of the timings."""


@dataclass(frozen=True)
class Ratio:
    """Speed of one loop over that of another."""

    of_medians: float
    lowest: float
    """Smallest ratio of a single round."""
    highest: float


@dataclass(frozen=True)
class Throughput:
    """All measurements, round by round; everything else follows from them."""

    work: Work
    photo: tuple[int, int]
    """Width and height of the JPEG files, in pixels."""
    rounds: tuple[Mapping[str, LoopTiming], ...]
    """The timing of each loop, in the order in which they ran."""
    peaks: tuple[Mapping[str, float], ...]
    """GFLOP/s of the fastest matrix product by number format, once a round."""
    provenance: Mapping[str, str]

    @property
    def flops_per_image(self) -> int:
        """FLOPs of a training step: 2 per multiply-add, a backward pass counted as two forward passes."""
        return 3 * 2 * total_cost(self.work.spec, self.work.side).macs

    def of(self, loop: str) -> list[LoopTiming]:
        """The loop's timings, one for each round that it ran in."""
        return [timings[loop] for timings in self.rounds if loop in timings]

    def speeds(self, loop: str) -> list[float]:
        """Images per second, by round."""
        return [timing.images_per_second for timing in self.of(loop)]

    def ratio(self, loop: str, to: str) -> Ratio:
        """Ratio over the rounds that both ran in."""
        pairs = [(timings[loop], timings[to]) for timings in self.rounds if loop in timings and to in timings]
        speeds, others = ([timing.images_per_second for timing in side] for side in zip(*pairs, strict=True))
        ratios = [speed / other for speed, other in zip(speeds, others, strict=True)]
        return Ratio(float(np.median(speeds) / np.median(others)), min(ratios), max(ratios))

    def number_format(self, loop: str) -> str:
        """Number format of the loop's trunk."""
        return "bf16" if self.work.bf16 and loop != USUAL else "fp32"

    def peak(self, number_format: str) -> float:
        """GFLOP/s: the fastest of all rounds."""
        return max(peaks[number_format] for peaks in self.peaks)

    def share_of_peak(self, loop: str) -> float:
        gflops = float(np.median(self.speeds(loop))) * self.flops_per_image / 1e9
        return gflops / self.peak(self.number_format(loop))


def main(settings: Settings) -> None:
    console, work = terminal(), work_for(settings)
    path = settings.out / f"side{work.side}-width{settings.width:g}-batch{work.batch}-{work.device}.json"
    require_writable(path, "--out")
    require_same_settings(path, {"work": JSON.unstructure(work), "photo": settings.photo}, "--out")
    with TemporaryDirectory(prefix="throughput-") as folder:
        with progress_reporter(console) as report:
            write_images(Path(folder), work, settings.photo, report)
        result = measure(work, settings.rounds, settings.photo, Path(folder), console)
    console.print(table(result))
    write_text(path, json_text(JSON.unstructure(result)))
    console.print(f"Written to {path}")


def work_for(settings: Settings) -> Work:
    """The settings with every default filled in for the device. Raises ValueError for what cannot be done."""
    for name, least in LEAST.items():
        at_least(least, **{name: getattr(settings, name)})
    if min(settings.photo) < LEAST["side"]:
        raise ValueError(
            f"--photo is {settings.photo[0]} {settings.photo[1]}: take {LEAST['side']} px or more each way"
        )
    device = device_for(settings.device)

    def chosen(value: int | None, default: int) -> int:
        return default if value is None else value

    return Work(
        spec=ModelSpec.of("vgg16", settings.classes, settings.width),
        side=settings.side,
        batch=chosen(settings.batch, BATCH[device.type]),
        warm_up=chosen(settings.warm_up, WARM_UP[device.type]),
        steps=chosen(settings.steps, STEPS[device.type]),
        workers=chosen(settings.workers, min(usable_cores(), MOST_WORKERS[device.type])),
        device=device.type,
        bf16=autocast_for("auto", device) is not None,
    )


def write_images(folder: Path, work: Work, photo: tuple[int, int], report: Report) -> None:
    """Write synthetic JPEG files, a folder per class as ImageFolder reads them, and the HDF5 file prepared from them.

    Both list the training images in the same order."""
    count, classes = max(work.spec.classes, min(work.images, PHOTOS)), work.spec.classes
    places = [(position % classes, position) for position in range(count)]
    files = [folder / "photos" / f"{label:04d}" / f"{position:05d}.jpg" for label, position in places]
    draw(files, photo, report)
    photos = [Photo(file, listed=file.name) for file in files]
    examples = [
        Example(f"train/{label:04d}/{position:05d}", label, "train", file.pixels, file.size)
        for (label, position), file in zip(places, photos, strict=True)
    ]
    # The file format wants a test image of every class, and a val image.
    examples += [replace(example, id=f"test/{example.label}", split="test") for example in examples[:classes]]
    examples.append(replace(examples[0], id="val", split="val"))
    names = [f"class {label}" for label in range(classes)]
    write(folder / "set.h5", DatasetName.own("throughput"), work.side, names, examples, report)


def measure(work: Work, rounds: int, photo: tuple[int, int], folder: Path, console: Console) -> Throughput:
    """Run one process after the other, with a line for each. Raises RunAborted at the first that fails."""
    timings: list[dict[str, LoopTiming]] = []
    peaks: list[dict[str, float]] = []
    for turn in range(1, rounds + 1):
        label = f"round {turn}/{rounds} "
        timings.append({})
        for loop in LOOPS:
            job = JSON.dumps(LoopJob(loop, folder, work))
            timing = JSON.loads(run_module_isolated("measure.training_loops", job, label=loop), LoopTiming)
            timings[-1][loop] = timing
            console.print(label, f"{loop:<6} {timing.images_per_second:9.2f} images/s, {timing.seconds:.1f} s timed")
        formats = ["fp32", "bf16"] if work.bf16 else ["fp32"]
        peaks.append(json.loads(run_module_isolated("run.matmul_peak", work.device, *formats, label="matrix product")))
        speeds = ", ".join(f"{name} {speed:,.0f} GFLOP/s" for name, speed in peaks[-1].items())
        console.print(label, "matrix product:", speeds)
    machine = provenance(torch.device(work.device), torch.bfloat16 if work.bf16 else None)
    return Throughput(work, photo, tuple(timings), tuple(peaks), machine)


def table(result: Throughput) -> Table:
    """One row per loop."""
    work = result.work
    rows = Table(
        title=f"Training VGG-16 BCNN: {work.side} px, batch {work.batch}, {work.spec.classes} classes, "
        f"{total_cost(work.spec, work.side).params:,} parameters, {work.device}"
    )
    rows.add_column("loop")
    for column in (
        "images/s [quartiles]",
        "n",
        "× usual (rounds)",
        "ours is × as fast",
        "share of peak",
        "memory, GB",
    ):
        rows.add_column(column, justify="right")
    for loop in LOOPS:
        lower, median, upper = np.quantile(result.speeds(loop), (0.25, 0.5, 0.75))
        to_usual = result.ratio(loop, USUAL)
        rows.add_row(
            loop,
            f"{median:.2f} [{lower:.2f}-{upper:.2f}]",
            str(len(result.of(loop))),
            f"{to_usual.of_medians:.2f} ({to_usual.lowest:.2f}-{to_usual.highest:.2f})",
            f"{result.ratio(OURS, loop).of_medians:.2f}",
            f"{result.share_of_peak(loop):.0%} of {result.number_format(loop)}",
            f"{max(timing.peak_bytes for timing in result.of(loop)) / 1e9:.2f}",
        )
    rows.caption = " ".join(_notes(result))
    return rows


def _notes(result: Throughput) -> Iterator[str]:
    """Notes for the reader of the table."""
    work, machine = result.work, result.provenance
    width, height = result.photo
    peaks = ", ".join(f"{name} {result.peak(name):,.0f} GFLOP/s" for name in result.peaks[0])
    yield f"{work.steps} timed steps a round after {work.warm_up} of warm-up."
    yield f"Usual: JPEG files of {width} × {height} px, {work.workers} DataLoader workers, fp32."
    yield f"Share of peak: of the fastest square matrix product, {peaks};"
    yield f"an image is {result.flops_per_image / 1e9:.1f} GFLOP, its backward pass counted as two forward passes."
    where = "allocated on the GPU" if work.device == "cuda" else "resident, of the training process without its workers"
    yield f"Memory: the most {where}; a run holds its whole set on top, {3 * work.side**2 / 1e3:.0f} kB an image."
    yield f"{machine['cpu']}, {machine['device']}, {machine['threads']} threads, torch {machine['torch']}."


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written")
