"""Find image files in folders, and read one as it is listed: its pixels at the side asked for, its size on disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from bcnn_prune.files import require_file

SUFFIXES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))
"""Of files that are taken for images when a folder is given, in small or capital letters."""

UPRIGHT, LYING = 1, range(5, 9)
"""EXIF orientations: pixels as they are to be seen, and those that exchange width and height."""


def images_in(folder: Path) -> list[Path]:
    """Every image file in `folder` and in the folders in it, by suffix, sorted by path; hidden ones are left out.

    Raises ValueError where there is none, OSError for a folder that may not be read."""
    found: list[Path] = []
    for root, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in files if not name.startswith(".") and is_image(name)]
    if not found:
        raise ValueError(f"{folder} holds no image: looked for files that end in {', '.join(sorted(SUFFIXES))}")
    return sorted(found)


def is_image(name: str) -> bool:
    """Whether a file is called as image files are."""
    return Path(name).suffix.lower() in SUFFIXES


def _refuse(error: OSError) -> None:
    raise PermissionError(f"{error.filename} may not be read by you: ask its owner for the right") from error


@dataclass(frozen=True)
class Photo:
    """An image file and the place that lists it, which every error names."""

    path: Path
    listed: str
    banner: int = 0
    """Pixels cut off the bottom before the image is resized, and after it is turned."""
    turned: bool = False
    """Whether a rotation or reflection that the camera noted in the file (EXIF) is applied, as viewers do."""

    def size(self) -> tuple[int, int]:
        """Width and height in pixels, banner included and turned where that is asked for, from the file's header."""
        with self._opened() as image:
            width, height = image.size
            return (height, width) if self.turned and _orientation(image) in LYING else (width, height)

    def unturned(self) -> bool:
        """Whether the file's header notes a rotation or reflection that is not applied."""
        with self._opened() as image:
            return not self.turned and _orientation(image) != UPRIGHT

    def pixels(self, side: int) -> NDArray[np.uint8]:
        """RGB, (side, side, 3): bilinear with antialiasing, the aspect ratio not kept (thesis protocol).

        What is transparent becomes white."""
        with self._opened() as image:
            frame = _turned(_rgb(image), _orientation(image)) if self.turned else _rgb(image)
            width, height = frame.size
            if height <= self.banner:
                raise ValueError(f"it is {height} px high, with a banner of {self.banner} px")
            # Cropped and not given to resize as a box, whose filter would still see the banner across the edge.
            frame = frame.crop((0, 0, width, height - self.banner))
            return np.asarray(frame.resize((side, side), Image.Resampling.BILINEAR))

    @contextmanager
    def _opened(self) -> Iterator[Image.Image]:
        try:
            require_file(self.path)
        except FileNotFoundError as error:
            raise ValueError(f"{self.listed}: {self.path} is missing") from error
        except OSError as error:
            raise ValueError(f"{self.listed}: {error}") from error
        try:
            with Image.open(self.path) as image:
                yield image
        except UnidentifiedImageError as error:
            raise ValueError(f"{self.listed}: {self.path} is no image") from error
        # Pillow reports damage as any of these, SyntaxError for a broken PNG among them.
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ValueError(f"{self.listed}: {self.path} cannot be read: {error}") from error


def _orientation(image: Image.Image) -> int:
    """From 1, upright, to 8, as the camera noted it; 1 where it noted nothing that can be read."""
    if image.format == "TIFF":  # Pillow turns these itself as it decodes them
        return UPRIGHT
    try:
        noted = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # a damaged note sets off anything from SyntaxError to struct.error, and the pixels are sound
        return UPRIGHT
    return noted if isinstance(noted, int) and 1 <= noted <= 8 else UPRIGHT


def _turned(frame: Image.Image, orientation: int) -> Image.Image:
    # Only this note goes along: exif_transpose rewrites all, and fails where one of the others is damaged.
    frame.info.clear()
    frame.getexif().clear()
    frame.getexif()[ExifTags.Base.Orientation] = orientation
    return ImageOps.exif_transpose(frame)


def _rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise ValueError(f"its pixels have more than 8 bits (mode {image.mode})")  # convert would clip, not scale
    return image.convert("RGB")
