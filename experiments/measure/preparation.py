"""Speed of data_prep: photographs decoded and resized per second, and by what else they could be.

    python -m experiments.measure.preparation
    python -m experiments.measure.preparation --source photographs

times, in turn and on all cores, what data_prep does (Pillow: decoded whole, resized with antialiasing), the same with
torchvision's resize of tensors, and Pillow with DCT scaling: a JPEG file is decoded at a half, a quarter or an eighth
of its side, as long as that is no smaller than wanted. Prints images per second, and how far the pixels are from those
of data_prep. Without --source the photographs are drawn. Raw timings go to runs/preparation."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.table import Table
from torchvision.datasets.folder import default_loader
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import pil_to_tensor, resize

from bcnn_prune.command_line.check import at_least
from bcnn_prune.cores import usable_cores
from bcnn_prune.files import json_text, require_same_settings, require_writable, write_text
from data_prep.photos import Photo, images_in
from data_prep.progress import progress_reporter
from data_prep.threads import thread_map
from data_prep.write import Report
from experiments.measure.drawn_photos import draw
from experiments.run import cli
from experiments.run.console import terminal
from experiments.run.provenance import provenance


def pillow(path: Path, side: int) -> NDArray[np.uint8]:
    """As data_prep reads a photograph: RGB, (side, side, 3)."""
    return Photo(path).pixels(side)


def torchvision(path: Path, side: int) -> NDArray[np.uint8]:
    """As torchvision's ImageFolder reads a photograph, resized as a tensor of uint8.

    Its own decoder of JPEG files is deprecated since 0.29."""
    small = resize(pil_to_tensor(default_loader(path)), [side, side], InterpolationMode.BILINEAR, antialias=True)
    pixels: NDArray[np.uint8] = small.permute(1, 2, 0).numpy()
    return pixels


def dct_scaled(path: Path, side: int) -> NDArray[np.uint8]:
    """Pillow, decoded at the smallest of JPEG's scales that is no smaller than `side`."""
    with Image.open(path) as image:
        image.draft("RGB", (side, side))
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))


WAYS: Mapping[str, Callable[[Path, int], NDArray[np.uint8]]] = {
    "data_prep": pillow,
    "torchvision resize": torchvision,
    "DCT scaling": dct_scaled,
}
OURS = "data_prep"


@dataclass(frozen=True, kw_only=True)
class Settings:
    source: Path | None = None
    """Folder of photographs, read with its subfolders."""
    photo: tuple[int, int] = (700, 480)
    """Width and height in pixels of photographs that are drawn: about the average of Stanford Cars."""
    images: int = 160
    """Photographs that are timed in a round: drawn, or the first of the folder."""
    side: int = 224
    """Pixels."""
    rounds: int = 5
    """Timed rounds of each way, after one that is not timed."""
    out: Path = Path("runs/preparation")
    """Folder of the timings."""


@dataclass(frozen=True)
class Difference:
    """Between pixels and those of data_prep, in levels of 256."""

    mean: float
    largest: int


Sizes = tuple[tuple[int, int], tuple[int, int]]
"""Least and greatest width, least and greatest height of photographs, in pixels."""


@dataclass(frozen=True)
class Preparation:
    """All measurements, round by round."""

    images: int
    side: int
    sizes: Sizes
    drawn: bool
    cores: int
    seconds: Mapping[str, tuple[float, ...]]
    """By way, a round each."""
    differences: Mapping[str, Difference]
    provenance: Mapping[str, str]

    def speeds(self, way: str) -> NDArray[np.float64]:
        """Images per second, by round."""
        return self.images / np.array(self.seconds[way])


def main(settings: Settings) -> None:
    for name in ("images", "side", "rounds"):
        at_least(1, **{name: getattr(settings, name)})
    if min(settings.photo) < 1:
        raise ValueError(f"--photo is {settings.photo[0]} {settings.photo[1]}: take 1 px or more each way")
    name = "drawn" if settings.source is None else settings.source.resolve().name
    path = settings.out / f"side{settings.side}-{name}.json"
    require_writable(path, "--out")
    files = [] if settings.source is None else images_in(settings.source)[: settings.images]
    asked: dict[str, object] = {"images": len(files) or settings.images, "side": settings.side, "drawn": not files}
    width, height = settings.photo
    sizes = sizes_of(files) if files else ((width, width), (height, height))
    asked["sizes"] = sizes
    require_same_settings(path, asked, "--out")
    console = terminal()
    with TemporaryDirectory(prefix="preparation-") as folder, progress_reporter(console) as report:
        if settings.source is None:
            files = [Path(folder) / f"{position:05d}.jpg" for position in range(settings.images)]
            draw(files, settings.photo, report)
        result = measure(files, sizes, settings, report)
    console.print(table(result))
    write_text(path, json_text(asdict(result)))
    console.print(f"Written to {path}")


def measure(files: Sequence[Path], sizes: Sizes, settings: Settings, report: Report) -> Preparation:
    """Every way in turn, round after round, on a thread per core. Raises ValueError for a file that is no image."""
    threads, cores = torch.get_num_threads(), usable_cores()
    torch.set_num_threads(1)  # each photograph is one thread's work, by every way
    try:
        differences = {way: _difference(read, files[:50], settings.side) for way, read in WAYS.items()}
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for turn in range(settings.rounds + 1):
            for done, (way, read) in enumerate(WAYS.items(), 1):
                elapsed = _timed(read, files, settings.side)
                if turn:
                    seconds[way].append(elapsed)
                report("timing", turn * len(WAYS) + done, (settings.rounds + 1) * len(WAYS))
    finally:
        torch.set_num_threads(threads)
    return Preparation(
        images=len(files),
        side=settings.side,
        sizes=sizes,
        drawn=settings.source is None,
        cores=cores,
        seconds={way: tuple(times) for way, times in seconds.items()},
        differences=differences,
        provenance=provenance(torch.device("cpu"), None),
    )


def sizes_of(files: Sequence[Path]) -> Sizes:
    """Least and greatest width, least and greatest height. Raises ValueError for a file that is no image."""
    widths, heights = zip(*(Photo(file).size() for file in files), strict=True)
    return (min(widths), max(widths)), (min(heights), max(heights))


def _timed(read: Callable[[Path, int], NDArray[np.uint8]], files: Sequence[Path], side: int) -> float:
    with thread_map() as run:
        start = time.perf_counter()
        for _ in run(lambda file: read(file, side), files):
            pass
        return time.perf_counter() - start


def _difference(read: Callable[[Path, int], NDArray[np.uint8]], files: Sequence[Path], side: int) -> Difference:
    apart = [np.abs(read(file, side).astype(int) - pillow(file, side)) for file in files]
    return Difference(float(np.mean(apart)), int(np.max(apart)))


def table(result: Preparation) -> Table:
    """A row a way."""
    (narrow, wide), (low, high) = result.sizes
    kind = "drawn photographs" if result.drawn else "photographs"
    shown = Table(title=f"{result.images:,} {kind} of {narrow}-{wide} × {low}-{high} px to {result.side} px")
    shown.add_column("by")
    for column in ("images/s [quartiles]", "n", "× data_prep (rounds)", "pixels differ by: mean", "at most"):
        shown.add_column(column, justify="right")
    ours = result.speeds(OURS)
    for way in result.seconds:
        speeds = result.speeds(way)
        lower, median, upper = np.quantile(speeds, (0.25, 0.5, 0.75))
        ratios, difference = speeds / ours, result.differences[way]
        shown.add_row(
            way,
            f"{median:,.0f} [{lower:,.0f}-{upper:,.0f}]",
            str(len(speeds)),
            f"{median / np.median(ours):.2f} ({ratios.min():.2f}-{ratios.max():.2f})",
            f"{difference.mean:.2f}",
            str(difference.largest),
        )
    machine = result.provenance
    shown.caption = f"{machine['cpu']}, {result.cores} threads, torchvision {machine['torchvision']}."
    return shown


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written")
