"""Parameters and multiply-adds by six counters, and why they differ.

    python -m experiments.measure.counters

takes ten seconds on one core, needs no images and no weights, and writes runs/cost/counters.json. It holds parameters
and multiply-adds of the unpruned network and of a published pruned one by each counter. It also holds each counter's
excess over ours for every kind of step alone, and the sizes of our networks and of the field's. A difference is
explained only where the excesses of the single steps add up to it exactly. `python -m thesis_figures` makes tables of
results/cost.

Needs fvcore, thop, ptflops and torchinfo: pip install --editable '.[comparisons]'."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from torch import nn

from bcnn_prune.evaluation.cost import cost_lines, file_bytes, peak_activation_bytes, total_cost
from bcnn_prune.files import require_writable, write_text
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.records import json_file
from bcnn_prune.records.counters import PACKAGES, CounterComparison, CounterCost, NetworkSize, file_of
from bcnn_prune.spec import ModelSpec
from experiments.measure.other_counters import COUNTERS, by_torch, count_cost, excess_of, explain, steps
from experiments.run import cli
from experiments.run.console import terminal
from experiments.run.provenance import provenance
from thesis_figures.analysis import reference
from thesis_figures.tables.counters import tables
from thesis_figures.tables.formats import as_markdown

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
    """Folder of counters.json."""
    published: Path = Path("results/reference/thesis_results.csv")
    """The thesis' rows, for the widths of its pruned networks."""


def compare(specs: Mapping[str, ModelSpec], reconciled: Iterable[str], side: int) -> CounterComparison:
    """Count the networks of these specs, the `reconciled` ones by all counters, and the field's."""
    alone = {counter: {kind: excess_of(counter, step) for kind, step in steps().items()} for counter in COUNTERS}
    counts, images = [], torch.zeros(1, 3, side, side)
    for name in reconciled:
        network, lines, ours = BilinearCNN(specs[name]), cost_lines(specs[name], side), total_cost(specs[name], side)
        for counter, excesses in alone.items():
            cost = count_cost(counter, network, images)
            counts.append(CounterCost(name, counter, cost, explain(lines, excesses, cost.macs - ours.macs)))
    sizes = [size(name, spec, side, folded) for name, spec in specs.items() for folded in (False, True)]
    (classes,) = {spec.classes for spec in specs.values()}
    sizes += [peer(name, classes, side) for name in PEERS]
    machine = {**provenance(torch.device("cpu"), None), **{package: version(package) for package in PACKAGES}}
    return CounterComparison(side, specs, tuple(counts), alone, tuple(sizes), machine)


def size(name: str, spec: ModelSpec, side: int, folded: bool) -> NetworkSize:
    """Size of a network of ours, as trained or folded for inference."""
    return NetworkSize(
        name + ", folded" * folded,
        f"widths of thesis table {PUBLISHED[name][0]}" if name in PUBLISHED else "thesis 3.2",
        total_cost(spec, side, folded),
        file_bytes(spec, folded),
        peak_activation_bytes(spec, side, folded=folded),
    )


def peer(name: str, classes: int, side: int) -> NetworkSize:
    """Size of timm's network by FlopCounterMode, on torch's meta device: without weights and without computing."""
    with torch.device("meta"):
        network = peer_network(name, classes)
        cost = by_torch(network, torch.zeros(1, 3, side, side))
    stored = sum(tensor.nbytes for tensor in network.state_dict().values())
    return NetworkSize(name, f"timm {PEERS[name]}", cost, stored, None)


def peer_network(name: str, classes: int) -> nn.Module:
    """timm's network with fresh weights, in evaluation mode."""
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
    return {"unpruned": ModelSpec.of(reference.BACKBONE, classes), **pruned}


def main(settings: Settings) -> None:
    if missing := [package for package, module in NEEDED.items() if find_spec(module) is None]:
        raise ValueError(
            f"this needs {', '.join(missing)}: pip install {' '.join(missing)}, or all that it takes with "
            "pip install --editable '.[comparisons]'"
        )
    path = file_of(settings.out)
    require_writable(path, "--out")
    comparison = compare(networks(reference.read(settings.published)), RECONCILED, SIDE)
    write_text(path, json_file.to_json(comparison))
    console = terminal()
    console.print("\n".join(map(as_markdown, tables(comparison))))
    console.print(f"Written to {path}")


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="nothing was written")
