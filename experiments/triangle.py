"""What does a classifier over the upper triangle buy beside one over the whole square? Are its logits the same?

    python -m experiments.triangle --out results/cpu_time

takes a minute and a half on two idle cores and writes triangle.json and the same as tables, triangle.md: parameters,
how far the logits lie apart in fp32 and fp64, and forward time of the heads alone (features to logits; at batch 1 also
of whole networks, folded but for the head of one). Each is timed in a process of its own and they alternate; all of it
is repeated with new processes, and the speed-up is told with the smallest and largest of the repeats."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from cattrs.preconf.json import make_converter
from torch import Tensor, nn

from bcnn_prune.deployment.folded import folded
from bcnn_prune.evaluation.latency import Open, Pass, timed_apart
from bcnn_prune.files import json_text, write_text
from bcnn_prune.model.weights import fresh
from bcnn_prune.records import Latency
from bcnn_prune.spec import STAGE_WIDTHS, ModelSpec
from command_line.check import at_least
from experiments import cli
from experiments.progress import terminal
from experiments.provenance import provenance
from thesis_figures.tables.formats import as_markdown
from thesis_figures.tables.table import Column, Row, Table

JSON = make_converter(forbid_extra_keys=True)
DEPTH, CLASSES, SIDE = 16, 196, 224
IMAGES, SEED = 8, 0
"""Of the comparison of logits."""
Part = Literal["head", "network"]


@dataclass(frozen=True)
class Settings:
    channels: tuple[int, ...] = (512, 128)
    """Widths of the last layer; all others of the whole network follow VGG-16's proportions."""
    batches: tuple[int, ...] = (1, 8, 32)
    networks: bool = True
    """Also time the whole networks, at batch 1."""
    repeats: int = 3
    rounds: int = 15
    """Timed passes of each head in a repeat."""
    threads: int | None = None
    """All cores, unless told."""
    out: Path = Path("runs/cpu_time")
    """Where the record and the tables are written."""


@dataclass(frozen=True)
class Agreement:
    """How far logits of the triangle lie from those of the square, relative to the largest of them."""

    channels: int
    images: int
    square_params_per_class: int
    """Without the bias."""
    triangle_params_per_class: int
    in_fp32: float
    """From the square's in fp32."""
    in_fp64: float
    """The same with both in fp64."""
    square_rounding: float
    """The square's logits in fp32 from its own in fp64."""
    triangle_rounding: float
    """The triangle's logits in fp32 from the square's in fp64."""


@dataclass(frozen=True)
class Pair:
    """The two classifiers timed in turn, a Latency a repeat."""

    part: Part
    channels: int
    batch: int
    square: tuple[Latency, ...]
    triangle: tuple[Latency, ...]

    @property
    def speed_ups(self) -> list[float]:
        """How many times as fast the triangle was, by repeat, of the medians."""
        return [one.median_ms / other.median_ms for one, other in zip(self.square, self.triangle, strict=True)]


@dataclass(frozen=True)
class Triangle:
    """All that was measured."""

    classes: int
    side: int
    agreements: tuple[Agreement, ...]
    pairs: tuple[Pair, ...]
    provenance: Mapping[str, str]


def spec_for(channels: int) -> ModelSpec:
    return ModelSpec.vgg(DEPTH, CLASSES, channels / STAGE_WIDTHS[-1])


class Given(nn.Module):
    """A trunk that hands on these features whatever the images are: what comes after it is timed alone."""

    features: Tensor

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.register_buffer("features", features)

    def forward(self, images: Tensor) -> Tensor:
        return self.features


def both(spec: ModelSpec, given: Tensor | None = None) -> dict[str, nn.Module]:
    """The same network with either classifier, on one folded trunk; with features, these in place of the trunk's.

    In the number format of the features; folded in it."""
    square = fresh(spec, torch.Generator().manual_seed(SEED)).eval()
    triangle = folded(square if given is None else square.to(given.dtype))
    if given is not None:
        triangle.trunk = Given(given)  # type: ignore[assignment]
    square.trunk = triangle.trunk
    return {"square": square, "triangle": triangle}


def features(spec: ModelSpec, count: int, seed: int) -> Tensor:
    """What a trunk hands on for images of SIDE px, drawn: non-negative, half of it zero."""
    side = SIDE // 2 ** len(spec.pooled_layers)
    shape = (count, spec.widths[-1], side, side)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).relu()


@torch.inference_mode()
def agreement(spec: ModelSpec, images: int = IMAGES) -> Agreement:
    """The two heads on the same features, drawn in fp32."""
    given, none = features(spec, images, SEED + 1), torch.zeros(images, 3, 1, 1)
    heads = both(spec, given)
    square, triangle = (head(none).double() for head in heads.values())
    exact, exact_triangle = (head(none.double()) for head in both(spec, given.double()).values())
    found = [(triangle, square), (exact_triangle, exact), (square, exact), (triangle, exact)]
    return Agreement(
        spec.widths[-1],
        images,
        *(sum(p.numel() for p in head.parameters()) // spec.classes - 1 for head in heads.values()),
        *(float((one - other).abs().max() / exact.abs().max()) for one, other in found),
    )


def opened(part: Part, classifier: str, channels: int, batch: int) -> Pass:
    """Load one of the two in the process that times it."""
    spec, images = spec_for(channels), torch.rand(batch, 3, SIDE, SIDE) * 2 - 1
    channels_last = torch.channels_last  # as a folded trunk takes and leaves its maps
    given = features(spec, batch, SEED).contiguous(memory_format=channels_last) if part == "head" else None
    network, images = both(spec, given)[classifier], images.contiguous(memory_format=channels_last)

    @torch.inference_mode()
    def run() -> Tensor:
        logits: Tensor = network(images)
        return logits

    return run


def timed(settings: Settings, threads: int, batch: int) -> list[Pair]:
    """All pairs of one batch, each of the repeats with new processes."""
    parts: list[Part] = ["head", "network"] if settings.networks and batch == 1 else ["head"]
    keys = [(part, channels) for part in parts for channels in settings.channels]
    runtimes: dict[str, Open] = {
        f"{part} {channels} {classifier}": partial(opened, part, classifier, channels, batch)
        for part, channels in keys
        for classifier in ("square", "triangle")
    }
    found = [timed_apart(runtimes, batch, threads, settings.rounds) for _ in range(settings.repeats)]

    def of(part: Part, channels: int, classifier: str) -> tuple[Latency, ...]:
        return tuple(one[f"{part} {channels} {classifier}"] for one in found)

    return [
        Pair(part, channels, batch, of(part, channels, "square"), of(part, channels, "triangle"))
        for part, channels in keys
    ]


def tables(found: Triangle) -> list[Table]:
    """Of the logits and of the time."""
    same: list[Row] = [
        {
            "channels": one.channels,
            "square": one.square_params_per_class,
            "triangle": one.triangle_params_per_class,
            "in_fp32": one.in_fp32,
            "in_fp64": one.in_fp64,
            "square_rounding": one.square_rounding,
            "triangle_rounding": one.triangle_rounding,
        }
        for one in found.agreements
    ]
    times: list[Row] = [
        {
            "part": pair.part,
            "channels": pair.channels,
            "batch": pair.batch,
            "square": statistics.median(latency.median_ms for latency in pair.square),
            "triangle": statistics.median(latency.median_ms for latency in pair.triangle),
            "speed_up": statistics.median(pair.speed_ups),
            "spread": f"{min(pair.speed_ups):.2f}–{max(pair.speed_ups):.2f}",
            "n": len(pair.speed_ups),
            "load": max(latency.load or 0.0 for latency in (*pair.square, *pair.triangle)),
        }
        for pair in found.pairs
    ]
    weights = [Column("channels", "C", "d"), Column("square", "square", ",d"), Column("triangle", "triangle", ",d")]
    apart = [
        *(Column("in_fp32", "apart, fp32", ".1e"), Column("in_fp64", "fp64", ".1e")),
        Column("square_rounding", "square, fp32 from fp64", ".1e"),
        Column("triangle_rounding", "triangle, fp32 from fp64", ".1e"),
    ]
    ms = [
        *(Column("part", "timed"), Column("channels", "C", "d"), Column("batch", "batch", "d")),
        *(Column("square", "square, ms", ".2f"), Column("triangle", "triangle, ms", ".2f")),
        *(Column("speed_up", "speed-up", ".2f"), Column("spread", "repeats"), Column("n", "n", "d")),
        Column("load", "cores that others kept busy, at most", ".2f"),
    ]
    return [
        Table(
            "triangle-logits", "Weights a class, and distance over the largest logit", (*weights, *apart), tuple(same)
        ),
        Table("triangle-time", "Forward time: median of the repeats' medians", tuple(ms), tuple(times)),
    ]


def main(settings: Settings) -> None:
    at_least(
        1,
        channels=settings.channels,
        batches=settings.batches,
        repeats=settings.repeats,
        rounds=settings.rounds,
        threads=settings.threads,
    )
    console, threads = terminal(), settings.threads or torch.get_num_threads()
    agreements = tuple(agreement(spec_for(channels)) for channels in settings.channels)
    pairs: list[Pair] = []
    for batch in settings.batches:
        console.print(f"batch {batch}: {settings.repeats} repeats of {settings.rounds} rounds")
        pairs += timed(settings, threads, batch)
    machine = {**provenance(torch.device("cpu"), None), "threads": str(threads)}
    found = Triangle(CLASSES, SIDE, agreements, tuple(pairs), machine)
    text = "\n".join(map(as_markdown, tables(found)))
    write_text(settings.out / "triangle.json", json_text(JSON.unstructure(found)))
    write_text(settings.out / "triangle.md", text)
    console.print(text)
    console.print(f"Written to {settings.out / 'triangle.json'} and triangle.md")


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written")
