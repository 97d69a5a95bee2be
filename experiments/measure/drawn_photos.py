"""Drawn photographs as JPEG files, for what is timed on files."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from data_prep.synthetic import families
from data_prep.threads import thread_map
from data_prep.write import Report


def draw(files: Sequence[Path], size: tuple[int, int], report: Report) -> None:
    """Write a JPEG file of quality 90 and of `size`, width and height in pixels, under every name."""
    _, drawings = families.examples("cars", classes=20, seed=0)
    side, (width, height) = max(size), size
    left, top = (side - width) // 2, (side - height) // 2

    def write(numbered: tuple[int, Path]) -> None:
        number, file = numbered
        pixels = drawings[number % len(drawings)].read(side)[top : top + height, left : left + width]
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file, quality=90)

    with thread_map() as run:
        for done, _ in enumerate(run(write, enumerate(files)), 1):
            report("drawing", done, len(files))
