"""What becomes of a network in other runtimes and number formats, counted on images, and the one JSON file of it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cattrs
import numpy as np
from cattrs.preconf.json import make_converter
from jaxtyping import Int64

from bcnn_prune.data.batches import Split
from bcnn_prune.deployment.runtimes import Logits, Pixels, Runtime
from bcnn_prune.records import Evaluation
from bcnn_prune.spec import ModelSpec

VERSION = 1


@dataclass(frozen=True)
class VariantReport:
    """One variant held against the original on the same test images."""

    bytes: int
    """Of the files that it needs."""
    test: Evaluation
    agreeing: int
    """Test images whose class is the one that the original names, right or wrong."""
    largest_difference: float
    """Of a logit to the original's, as a share of the original's largest logit, signs dropped."""

    @property
    def agreement(self) -> float:
        """0 to 1."""
        return self.agreeing / self.test.images


@dataclass(frozen=True)
class DeployReport:
    """A network that was deployed: from which checkpoint, how it was quantised, and each variant."""

    checkpoint: str
    """SHA-256 of the file."""
    spec: ModelSpec
    dataset: str
    data_digest: str
    side: int
    """Pixels."""
    calibration_images: int
    """Val images that gave the ranges of int8."""
    kept: tuple[str, ...]
    """What the int8 files leave in fp32, apart from the pooled product and its root."""
    vnni: bool
    """Whether int8 weights take 8 bits, or the 7 that suit processors without VNNI."""
    variants: Mapping[str, VariantReport]
    provenance: Mapping[str, str]


def pixel_batches(split: Split, size: int) -> Iterator[tuple[Pixels, Int64[np.ndarray, " batch"]]]:
    """The images of a split, in order, as runtimes take them, and their labels."""
    for images, labels in split.batches(size):
        yield images.permute(0, 2, 3, 1).contiguous().cpu().numpy(), labels.cpu().numpy()


def logits_of(run: Runtime, split: Split, batch: int = 64) -> Logits:
    """The logits of every image of a split, in order."""
    return np.concatenate([run(pixels) for pixels, _ in pixel_batches(split, batch)])


def held_against(found: Logits, original: Logits, labels: Int64[np.ndarray, " batch"], size: int) -> VariantReport:
    """Compare logits of the same images; `size` in bytes is taken over."""
    classes, named = found.argmax(1), original.argmax(1)
    return VariantReport(
        bytes=size,
        test=Evaluation(images=len(labels), correct=int((classes == labels).sum())),
        agreeing=int((classes == named).sum()),
        largest_difference=float(np.abs(found - original).max() / np.abs(original).max()),
    )


_converter = make_converter(forbid_extra_keys=True)


def to_json(report: DeployReport) -> str:
    """The report as JSON text, its keys in the order of the fields."""
    return json.dumps({"version": VERSION, **_converter.unstructure(report)}, indent=1, ensure_ascii=False) + "\n"


def read_report(path: Path) -> DeployReport:
    """The report in a file. Raises ValueError that names the file."""
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = fields.pop("version")
        if version != VERSION:
            raise ValueError(f"it has version {version}, this program reads version {VERSION}")
        return _converter.structure(fields, DeployReport)
    except cattrs.BaseValidationError as error:
        raise ValueError(f"{path} is no deploy report: " + "; ".join(cattrs.transform_error(error))) from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} is no deploy report: {error}") from error
