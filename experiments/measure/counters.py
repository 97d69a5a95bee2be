"""Parameters and multiply-adds by six counters, and why they differ.

    python -m experiments.measure.counters

takes ten seconds on one core, no images and no weights, and writes runs/cost/counters.json and the same as tables,
counters.md: parameters and multiply-adds of the unpruned network and of a published pruned one by each counter; what
each counter says of every kind of step alone; and our networks beside those that the field compares with. A reason for
a difference is shown only where what the counter says of the single steps adds up to it, to the unit.

Needs fvcore, thop, ptflops and torchinfo: pip install --editable '.[comparisons]'."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from cattrs.preconf.json import make_converter
from torch import nn

from bcnn_prune.evaluation.cost import cost_lines, file_bytes, peak_activation_bytes, total_cost
from bcnn_prune.files import json_text, require_writable, write_text
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.records import Cost
from bcnn_prune.spec import ModelSpec
from experiments.measure.other_counters import COUNTERS, Finding, by_torch, counted, finding, reason, said, steps
from experiments.run import cli
from experiments.run.console import terminal
from experiments.run.provenance import provenance
from thesis_figures.analysis import reference
from thesis_figures.tables.formats import as_markdown
from thesis_figures.tables.table import Cell, Column, Row, Table

JSON = make_converter(forbid_extra_keys=True)
PACKAGES = ("fvcore", "thop", "ptflops", "torchinfo")
# Modules by the package that brings them: thop wants distutils, which Python 3.12 has left to setuptools.
NEEDED = {**{package: package for package in PACKAGES}, "setuptools": "distutils"}
FAMILY, SIDE = "cars", 224
PUBLISHED = {"pruned 45 %": ("4.7", 0.45), "pruned 80 %": ("4.4", 0.8)}
"""Table and rate of the published networks: the heavier last penalty's furthest cut, and the smallest of all."""
RECONCILED = ("unpruned", "pruned 45 %")
PEERS = {
    "VGG-16": "vgg16",
    "ResNet-50": "resnet50",
    "MobileNet V1": "mobilenetv1_100",
    "MobileNet V2": "mobilenetv2_100",
}
"""timm's names."""


@dataclass(frozen=True)
class Settings:
    out: Path = Path("runs/cost")
    """Where the record and the tables are written."""
    published: Path = Path("results/reference/thesis_results.csv")
    """The thesis' rows, for the widths of its pruned networks."""


@dataclass(frozen=True)
class Count:
    """What one counter says of one network, and why it is not what we say."""

    network: str
    counter: str
    cost: Cost
    reason: str
    """Empty where the multiply-adds are ours."""


@dataclass(frozen=True)
class Size:
    """A network of the comparison."""

    network: str
    source: str
    cost: Cost
    file_bytes: int
    """Of the weights and statistics in fp32."""
    peak_activation_bytes: int | None
    """Of an image in fp32; None for networks that are not ours."""


@dataclass(frozen=True)
class Comparison:
    """What was counted, all for an image of side × side pixels."""

    side: int
    specs: Mapping[str, ModelSpec]
    """Our networks."""
    counts: tuple[Count, ...]
    alone: Mapping[str, Mapping[str, Finding | None]]
    """By counter and kind of step; None where it is no multiple of anything."""
    sizes: tuple[Size, ...]
    provenance: Mapping[str, str]


def compare(specs: Mapping[str, ModelSpec], reconciled: Iterable[str], side: int) -> Comparison:
    """Count the networks of these specs, the `reconciled` ones by all counters, beside the field's."""
    alone = {counter: {kind: finding(counter, step) for kind, step in steps().items()} for counter in COUNTERS}
    counts, images = [], torch.zeros(1, 3, side, side)
    for name in reconciled:
        network, lines, ours = BilinearCNN(specs[name]), cost_lines(specs[name], side), total_cost(specs[name], side)
        for counter, findings in alone.items():
            cost = counted(counter, network, images)
            counts.append(Count(name, counter, cost, reason(lines, findings, cost.macs - ours.macs)))
    sizes = [size(name, spec, side, folded) for name, spec in specs.items() for folded in (False, True)]
    (classes,) = {spec.classes for spec in specs.values()}
    sizes += [peer(name, classes, side) for name in PEERS]
    machine = {**provenance(torch.device("cpu"), None), **{package: version(package) for package in PACKAGES}}
    return Comparison(side, specs, tuple(counts), alone, tuple(sizes), machine)


def size(name: str, spec: ModelSpec, side: int, folded: bool) -> Size:
    """Of a network of ours, as it is trained or folded for inference."""
    return Size(
        name + ", folded" * folded,
        f"widths of thesis table {PUBLISHED[name][0]}" if name in PUBLISHED else "thesis 3.2",
        total_cost(spec, side, folded),
        file_bytes(spec, folded),
        peak_activation_bytes(spec, side, folded=folded),
    )


def peer(name: str, classes: int, side: int) -> Size:
    """Of timm's network, by FlopCounterMode, on torch's meta device: without weights and without computing."""
    with torch.device("meta"):
        network = peer_network(name, classes)
        cost = by_torch(network, torch.zeros(1, 3, side, side))
    stored = sum(tensor.nbytes for tensor in network.state_dict().values())
    return Size(name, f"timm {PEERS[name]}", cost, stored, None)


def peer_network(name: str, classes: int) -> nn.Module:
    """timm's, with fresh weights, in evaluation mode."""
    network: nn.Module = timm.create_model(PEERS[name], pretrained=False, num_classes=classes)
    return network.eval()


def networks(
    rows: Iterable[reference.ThesisRow], wanted: Mapping[str, tuple[str, float]] = PUBLISHED
) -> dict[str, ModelSpec]:
    """The unpruned network and the published ones, by table and rate. Raises ValueError where a row is missing."""
    published = {(row.table, row.rate): row.spec for row in rows if row.family == FAMILY and row.spec is not None}
    missing = [f"table {table}, {rate:.0%}" for table, rate in wanted.values() if (table, rate) not in published]
    if missing:
        raise ValueError(f"the published rows of {FAMILY} lack the widths of {'; '.join(missing)}")
    pruned = {name: published[row] for name, row in wanted.items()}
    classes = {spec.classes for spec in pruned.values()}.pop()
    return {"unpruned": ModelSpec.vgg(reference.DEPTH, classes), **pruned}


# ---- Tables

PARAMS, MACS = Column("params", "parameters", ",d"), Column("macs", "multiply-adds", ",d")
BY_COUNTER = (
    *(Column("network", "network"), Column("counter", "counter")),
    *(PARAMS, Column("more_params", "difference", "+,d"), MACS, Column("more_macs", "difference", "+,d")),
    Column("reason", "which is"),
)
BESIDE = (
    *(Column("network", "network"), Column("source", "source"), PARAMS, MACS),
    *(Column("megabytes", "MB on disk", ",.1f"), Column("peak_megabytes", "MB of activations", ",.1f")),
)


def tables(found: Comparison) -> list[Table]:
    """By counter, by kind of step, and beside the field."""
    image = f"of an image of {found.side} px"
    rows: list[Row] = []
    for name in dict.fromkeys(count.network for count in found.counts):
        ours = total_cost(found.specs[name], found.side)
        rows.append({"network": name, "counter": "ours", **asdict(ours)})
        for count in (count for count in found.counts if count.network == name):
            params, macs = count.cost.params - ours.params, count.cost.macs - ours.macs
            more: dict[str, Cell] = {"more_params": params, "more_macs": macs, "reason": count.reason}
            rows.append({"network": name, "counter": count.counter, **asdict(count.cost), **more})
    kinds = [Column(kind, kind) for kind in steps()]
    alone: list[Row] = [
        {"counter": counter, **{kind: said(one) for kind, one in findings.items()}}
        for counter, findings in found.alone.items()
    ]
    sizes: list[Row] = [
        {
            "network": one.network,
            "source": one.source,
            **asdict(one.cost),
            "megabytes": one.file_bytes / 1e6,
            "peak_megabytes": None if one.peak_activation_bytes is None else one.peak_activation_bytes / 1e6,
        }
        for one in found.sizes
    ]
    return [
        Table("counters", f"By counter: parameters, and multiply-adds {image}", BY_COUNTER, tuple(rows)),
        Table("steps", "What each counter adds to our multiply-adds of a step", (BY_COUNTER[1], *kinds), tuple(alone)),
        Table("networks", f"Parameters, and multiply-adds and activations {image}", BESIDE, tuple(sizes)),
    ]


def main(settings: Settings) -> None:
    if missing := [package for package, module in NEEDED.items() if find_spec(module) is None]:
        raise ValueError(
            f"this needs {', '.join(missing)}: pip install {' '.join(missing)}, or all that it takes with "
            "pip install --editable '.[comparisons]'"
        )
    require_writable(settings.out / "counters.json", "--out")
    specs = networks(reference.read(settings.published))
    found = compare(specs, RECONCILED, SIDE)
    text = "\n".join(map(as_markdown, tables(found)))
    write_text(settings.out / "counters.json", json_text(JSON.unstructure(found)))
    write_text(settings.out / "counters.md", text)
    console = terminal()
    console.print(text)
    console.print(f"Written to {settings.out / 'counters.json'} and counters.md")


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written")
