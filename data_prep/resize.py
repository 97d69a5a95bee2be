"""A prepared set at a smaller side: the same images and splits."""

from functools import partial
from pathlib import Path
from typing import get_args

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bcnn_prune.data.format import describe
from bcnn_prune.datasets import DatasetName
from bcnn_prune.records import DatasetInfo
from data_prep.examples import Example, Split
from data_prep.write import Report, write


def resized(source: Path, side: int, out: Path, report: Report = lambda *_: None) -> DatasetInfo:
    """Write the prepared set in `source` to `out` with images of `side` px, the mean over what a pixel covers.

    Raises ValueError for a side that is larger than that of `source`."""
    info = describe(source)
    if side > info.side:
        raise ValueError(
            f"{source} holds images of {info.side} px, which have no {side}: prepare it with --side {side}"
        )
    name = DatasetName.stored(info.name, info.family, info.kind)
    with h5py.File(source) as file:
        examples = [
            Example(id, int(label), split, partial(_pixels, file[f"{split}/images"], i), lambda: (info.side, info.side))
            for split in get_args(Split)
            for i, (id, label) in enumerate(zip(file[f"{split}/ids"].asstr()[:], file[f"{split}/labels"], strict=True))
        ]
        return write(out, name, side, info.class_names, examples, report)


def _pixels(images: h5py.Dataset, i: int, side: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(images[i]).resize((side, side), Image.Resampling.BOX))
