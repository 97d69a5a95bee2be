"""README.md of a folder of deployed files: what the network is, its accuracy, sizes and times, and how to run it."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from bcnn_prune.datasets import OFFICIAL, DatasetName
from bcnn_prune.deployment.registry import VARIANTS
from bcnn_prune.deployment.runtime import Logits
from bcnn_prune.evaluation.by_class import largest_mistakes, wilson_interval
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.evaluation.cpu_load import describe_load
from bcnn_prune.metadata import ModelCard
from bcnn_prune.records import DatasetInfo, Evaluation
from bcnn_prune.records.deploy import DeployReport
from bcnn_prune.records.latency import DENSE, Times

FILE = "README.md"
MARK = "<!-- Model card by experiments.deploy -->"
"""First line of the file."""
SHOWN = 10
"""Number of confused pairs."""

ONNX = """\
import json
import numpy as np
import onnxruntime
from PIL import Image, ImageOps
session = onnxruntime.InferenceSession("model-int8.onnx", providers=["CPUExecutionProvider"])
card = json.loads(session.get_modelmeta().custom_metadata_map["bcnn-prune"])
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
pixels = np.asarray(photo.resize((card["side"], card["side"]), Image.Resampling.BILINEAR))
logits = session.run(["logits"], {"pixels": pixels[None]})[0][0]
print(card["class_names"][logits.argmax()])
"""
OPENVINO = """\
import json
import numpy as np
import openvino
from PIL import Image, ImageOps
model = openvino.Core().read_model("model-int8.xml")
card = json.loads(model.get_rt_info(["bcnn-prune", "about"]).value)
network = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
pixels = np.asarray(photo.resize((card["side"], card["side"]), Image.Resampling.BILINEAR))
logits = network(pixels[None])[0][0]
print(card["class_names"][logits.argmax()])
"""


@dataclass(frozen=True)
class Confused:
    """Test images of one class that the network takes for another."""

    actual: str
    predicted: str
    count: int
    images: int
    """All test images of the class `actual`."""


def most_confused(logits: Logits, labels: Int64[np.ndarray, " images"], names: Sequence[str]) -> list[Confused]:
    """The pairs of classes with the most mistakes, at most SHOWN, the most frequent first."""
    images = Counter(labels.tolist())
    counts = Counter(zip(labels.tolist(), logits.argmax(1).tolist(), strict=True))
    mistakes = largest_mistakes(((i, j, count) for (i, j), count in counts.items()), SHOWN)
    return [Confused(names[i], names[j], count, images[i]) for i, j, count in mistakes]


def require_replaceable(path: Path) -> None:
    """Raise FileExistsError where `path` is someone else's file."""
    if path.is_file() and not path.read_bytes().startswith(MARK.encode()):
        raise FileExistsError(f"--out: {path} is no model card, and would be replaced: name another folder")


def render(card: ModelCard, data: DatasetInfo, report: DeployReport, confused: Sequence[Confused]) -> str:
    """The card as Markdown. `data` holds the test images of `report`, `confused` the mistakes on them."""
    trained = data if data.name == card.dataset else DatasetName.parse(card.dataset)
    sections = (
        _network(card, trained, report),
        _files(card, report),
        _times(report),
        _use(report),
        _confused(confused),
        f"## Licence\n\n{licence(trained)} If training started from pretrained weights, their terms apply, too.",
        "## Classes\n\n" + "\n".join(f"{i}. {_escaped(name)}" for i, name in enumerate(card.class_names)),
    )
    return "\n\n".join((MARK, *filter(None, sections))) + "\n"


def licence(data: DatasetInfo | DatasetName) -> str:
    """Terms of the images, in a sentence."""
    if data.kind == "synthetic":
        return "The images are synthetic: this project rendered them, from no photographs."
    if data.kind == "own" or data.family not in OFFICIAL:
        return "Licence of the data: yours to state."
    official = OFFICIAL[data.family]
    return f"Licence of the data ({official.title}): {official.licence}."


def interval(test: Evaluation) -> str:
    """Accuracy with its 95 % confidence interval (Wilson 1927), in per cent."""
    low, high = wilson_interval(test)
    return f"{test.accuracy:.1%} ({low:.1%} to {high:.1%})"


def _network(card: ModelCard, data: DatasetInfo | DatasetName, report: DeployReport) -> str:
    spec, side = report.spec, report.side
    cost, unpruned = total_cost(spec, side), total_cost(report.unpruned, side)
    official = OFFICIAL.get(data.family) if data.kind in ("official", "subset") else None
    title = f"{official.title}, set {data.name}" if official else f"{data.kind} set {data.name}"
    widths = ", ".join(f"{name} {width}" for name, width in spec.width_of.items())
    rows = {
        "backbone": spec.backbone + ("" if spec.batch_norm else ", trained without BatchNorm"),
        "channels": widths,
        "head": spec.head,
        "classes": str(spec.classes),
        "trained on": title,
        "input `pixels`": f"uint8, (batch, {side}, {side}, 3), RGB",
        "output `logits`": f"float32, (batch, {spec.classes})",
        "normalisation": f"inside the network: mean {_numbers(card.mean)}, std {_numbers(card.std)} of the unit range",
        "parameters": f"{cost.params:,}; {unpruned.params:,} before pruning",
        "multiply-adds per image": f"{cost.macs:,}; {unpruned.macs:,} before pruning",
        "checkpoint": f"SHA-256 `{report.checkpoint}`",
    }
    heading = f"# {_escaped(spec.title)}: {spec.classes} classes of {_escaped(data.name)}"
    return f"{heading}\n\n{_table(('', ''), [(name, _escaped(text)) for name, text in rows.items()])}"


def _files(card: ModelCard, report: DeployReport) -> str:
    images = next(iter(report.variants.values())).test.images
    bits = "8 bits, for processors with VNNI" if report.vnni else "7 bits, for processors with VNNI or without"
    rows = [
        (f"`{file}`", name, f"{variant.bytes / 1e3:,.0f}", interval(variant.test), f"{variant.agreement:.1%}")
        for name, file in _handed_over(report)
        for variant in [report.variants[name]]
    ]
    head = ("file", "variant", "kB", "test accuracy (95 % interval)", "same class as the checkpoint")
    kept = f" In fp32 there: {', '.join(report.kept)}." if report.kept else ""
    other_file = card.data_digest not in ("", report.data_digest)
    doubt = " They are not of the file that the network was trained on: some may be training images." * other_file
    return (
        f"## Files\n\nAccuracy on {images:,} test images of {_escaped(report.dataset)}.{doubt}\n\n"
        f"{_table(head, rows)}\n\n"
        f"`model.xml` and `model-int8.xml` need the `.bin` of the same name beside them. Ranges of int8 are from "
        f"{report.calibration_images} val images. int8 weights have {bits}.{kept}"
    )


def _times(report: DeployReport) -> str:
    if report.times is None:
        return "## Times\n\nNot measured: `--no-time`."
    latencies = [timing.latency for timing in report.times.ways[DENSE]]
    rows = [("", "unpruned, torch", *_milliseconds(report.times, DENSE))]
    rows += [(f"`{file}`", name, *_milliseconds(report.times, name)) for name, file in _handed_over(report)]
    head = ["file", "variant"]
    for latency in latencies:
        head += [f"batch {latency.batch}, ms (quartiles)", "times as fast as unpruned"]
    return (
        f"## Times\n\nOn {report.provenance.get('cpu', 'an unknown processor')}, {latencies[0].threads} threads, "
        f"images of {report.side} px; {describe_load(latency.load for latency in latencies)}.\n\n{_table(head, rows)}"
    )


def _milliseconds(times: Times, way: str) -> Iterator[str]:
    for timing in times.ways[way]:
        ms = timing.latency
        yield f"{ms.median_ms:.2f} ({ms.lower_quartile_ms:.2f} to {ms.upper_quartile_ms:.2f})"
        yield f"{timing.speed_up.median:.2f}"


def _use(report: DeployReport) -> str:
    versions = " and ".join(
        f"{package} {report.provenance[package]}"
        for package in ("onnxruntime", "openvino")
        if package in report.provenance
    )
    return (
        "## Use\n\nWith ONNX Runtime, after `pip install numpy pillow onnxruntime`:\n\n"
        f"```python\n{ONNX}```\n\nWith OpenVINO, after `pip install numpy pillow openvino`:\n\n"
        f"```python\n{OPENVINO}```\n\nConvert images with transparency or 16 bits per channel to 8-bit RGB before. "
        f"The aspect ratio is not kept.{f' Tested with {versions}.' if versions else ''}"
    )


def _confused(confused: Sequence[Confused]) -> str:
    if not confused:
        return ""
    rows = [(_escaped(c.actual), _escaped(c.predicted), f"{c.count} of {c.images}") for c in confused]
    head = ("class", "taken for", "test images")
    return f"## Most confused classes\n\nBy the checkpoint in torch.\n\n{_table(head, rows)}"


def _handed_over(report: DeployReport) -> list[tuple[str, str]]:
    """Name and file of each variant in the folder."""
    return [(name, file) for name in report.variants if (file := VARIANTS[name].file) is not None]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _escaped(text: str) -> str:
    """`text` as Markdown shows it on one line, also in a table."""
    return re.sub(r"([\\*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
