"""Read an image file as it is listed: pixels at the side asked for, and the size it has on disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError


@dataclass(frozen=True)
class Photo:
    """An image file and the place that lists it, which every error names."""

    path: Path
    listed: str
    banner: int = 0
    """Pixels cut off the bottom before the image is resized."""

    def size(self) -> tuple[int, int]:
        """Width and height on disk, banner included, from the file's header."""
        with self._opened() as image:
            return image.size

    def pixels(self, side: int) -> NDArray[np.uint8]:
        """RGB, (side, side, 3): bilinear with antialiasing, the aspect ratio not kept (thesis protocol).

        What is transparent becomes white. An EXIF rotation is not applied: the official boxes refer to raw frames."""
        with self._opened() as image:
            width, height = image.size
            if height <= self.banner:
                raise ValueError(f"it is {height} px high, with a banner of {self.banner} px")
            # Cropped and not given to resize as a box, whose filter would still see the banner across the edge.
            frame = _rgb(image).crop((0, 0, width, height - self.banner))
            return np.asarray(frame.resize((side, side), Image.Resampling.BILINEAR))

    @contextmanager
    def _opened(self) -> Iterator[Image.Image]:
        if not self.path.is_file():
            raise ValueError(f"{self.listed}: {self.path} is missing")
        try:
            with Image.open(self.path) as image:
                yield image
        except UnidentifiedImageError as error:
            raise ValueError(f"{self.listed}: {self.path} is no image") from error
        # Pillow reports damage as any of these, SyntaxError for a broken PNG among them.
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ValueError(f"{self.listed}: {self.path} cannot be read: {error}") from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise ValueError(f"its pixels have more than 8 bits (mode {image.mode})")  # convert would clip, not scale
    return image.convert("RGB")
