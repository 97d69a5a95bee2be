"""Image files: find them in folders, and read one as RGB pixels at a given side."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, TiffImageFile

from bcnn_prune.files import require_file

SUFFIXES = frozenset(
    (".avif", ".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
"""Suffixes of image files, in small or capital letters."""

MOST_PIXELS = 300_000_000
"""Pixels of the largest image that is read: a phone's has up to 200 million, and each takes some 10 bytes of memory."""
Image.MAX_IMAGE_PIXELS = None  # Pillow's own, which warns first, and not by the file's name
warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged notes in files whose pixels are sound

REMAINS = frozenset(("__MACOSX", "@eaDir"))
"""Folders that macOS adds to its archives and Synology to its disks: they hold files named after the images."""

WHITE_IS_ZERO = 0
"""TIFF's photometric interpretation of grey that counts down from white."""

UPRIGHT, LYING = 1, range(5, 9)
"""EXIF orientations: pixels as they are to be seen, and those that exchange width and height."""


def images_in(folder: Path) -> list[Path]:
    """Every image file in `folder` and its subfolders, by suffix, sorted by path; hidden ones are left out.

    Raises ValueError where there is none, OSError for a folder that may not be read."""
    images, _ = files_in(folder)
    if not images:
        raise ValueError(f"{folder} holds no image: looked for files that end in {', '.join(sorted(SUFFIXES))}")
    return images


def files_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """Image files in `folder` and its subfolders, and everything else there that is not hidden; both sorted by path.

    Links to folders are not followed and count as something else. Raises OSError for a folder that may not be read."""
    images: list[Path] = []
    others: list[Path] = []
    for root, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if is_visible(name)]
        others += [path for name in folders if (path := Path(root, name)).is_symlink()]
        for name in filter(is_visible, files):
            (images if is_image(name) else others).append(Path(root, name))
    return sorted(images), sorted(others)


def is_visible(name: str) -> bool:
    """True for a file or folder that is neither hidden nor left behind by a system."""
    return not name.startswith(".") and name not in REMAINS


def is_image(name: str) -> bool:
    """True for a file name with the suffix of an image that is not hidden."""
    return is_visible(name) and Path(name).suffix.lower() in SUFFIXES


def _refuse(error: OSError) -> None:
    if not isinstance(error, PermissionError):
        raise error
    raise PermissionError(f"{error.filename} may not be read by you: ask its owner for the right") from error


@dataclass(frozen=True)
class Photo:
    """An image file and the place that lists it; every error names both."""

    path: Path
    listed: str = ""
    """A line of a list, say; empty where no list names the file."""
    banner: int = 0
    """Pixels cut off the bottom, after a rotation and before resizing."""
    turned: bool = False
    """True to apply the rotation or reflection in the file's EXIF, as viewers do."""

    def size(self) -> tuple[int, int]:
        """Width and height in pixels, banner included, from the file's header; exchanged where `turned` says so."""
        with self._opened() as image:
            width, height = image.size
            return (height, width) if self.turned and _orientation(image) in LYING else (width, height)

    def unturned(self) -> bool:
        """True where the file's header has a rotation or reflection that is not applied."""
        with self._opened() as image:
            return not self.turned and _orientation(image) != UPRIGHT

    def pixels(self, side: int) -> NDArray[np.uint8]:
        """RGB, (side, side, 3): bilinear with antialiasing, the aspect ratio not kept (thesis protocol).

        Transparent pixels become white, 16 bits per channel become 8, and only the first frame is read."""
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
        place = f"{self.listed}: " if self.listed else ""
        try:
            require_file(self.path)
        except FileNotFoundError as error:
            raise ValueError(f"{place}{self.path} is missing") from error
        except OSError as error:
            raise ValueError(f"{place}{error}") from error
        try:
            with Image.open(self.path) as image:
                if (pixels := image.width * image.height) > MOST_PIXELS:
                    raise ValueError(f"it has {pixels:,} pixels, more than {MOST_PIXELS:,}: make it smaller")
                yield image
        except UnidentifiedImageError as error:
            raise ValueError(
                f"{place}{self.path} is no image, or of a kind that is not read: make it a JPEG"
            ) from error
        # Pillow reports damage as any of these, SyntaxError for a broken PNG, RuntimeError for a broken AVIF.
        except (OSError, SyntaxError, ValueError, RuntimeError, Image.DecompressionBombError) as error:
            raise ValueError(f"{place}{self.path} cannot be read: {error}") from error


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 (upright) to 8; 1 where there is none that can be read."""
    if image.format == "TIFF":  # Pillow turns these itself as it decodes them
        return UPRIGHT
    try:
        # Of the header alone: a PNG's own method would decode all pixels in search of a note behind them.
        noted = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
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
    # Pillow reads a 16 bit PGM as mode I, as older releases do a PNG. Its convert would clip at 255 instead of scaling.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        values = np.asarray(image)
        if isinstance(image, TiffImageFile):  # 12 bits are left as they are, and 16 that count down from white
            bits, photometric = image.tag_v2.get(BITSPERSAMPLE, (16,))[0], image.tag_v2.get(PHOTOMETRIC_INTERPRETATION)
            values = values.astype(np.uint16) << (16 - bits)
            values = 65535 - values if photometric == WHITE_IS_ZERO else values
        grey = (values >> 8).astype(np.uint8)
        if isinstance(transparent := image.info.get("transparency"), int):
            grey[values == transparent] = 255
        return Image.fromarray(grey).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(f"its pixels have 32 bits (mode {image.mode}), without a range: save it with 8 or 16")
    return image.convert("RGB")
