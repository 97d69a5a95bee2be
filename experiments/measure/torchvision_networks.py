"""Parameters and multiply-adds of torchvision's networks that the course documents name.

    python -m experiments.measure.torchvision_networks

needs no weights, takes seconds, and writes runs/reference/torchvision_networks.json for `python -m thesis_figures`,
whose table-networks sets them beside ours."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model

from bcnn_prune.files import require_writable, write_text
from bcnn_prune.records import Cost
from bcnn_prune.records.counted import CountedNetwork, CountedNetworks, file_of
from bcnn_prune.records.json_file import to_json
from experiments.run import cli
from experiments.run.console import terminal

NETWORKS = (
    ("resnet18", 11, 256),
    ("resnet18", 11, 224),
    ("resnet50", 1000, 224),
    ("googlenet", 1000, 224),
    ("squeezenet1_0", 1000, 224),
    ("squeezenet1_0", 1000, 227),
    ("alexnet", 1000, 224),
)
"""torchvision's name, classes, and pixels of the side."""


@dataclass(frozen=True)
class Settings:
    out: Path = Path("runs/reference")
    """Folder of torchvision_networks.json."""


def count(name: str, classes: int, side: int) -> CountedNetwork:
    """One network, without auxiliary classifiers."""
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):  # shapes alone: no weight is drawn, and nothing is computed
        network = get_model(name, num_classes=classes, **options)
        with FlopCounterMode(display=False) as counter:
            network.eval()(torch.empty(1, 3, side, side))
    params = sum(parameter.numel() for parameter in network.parameters())
    return CountedNetwork(name, classes, side, Cost(params, counter.get_total_flops() // 2))


def main(settings: Settings) -> None:
    require_writable(file_of(settings.out), "--out")
    counted = tuple(count(*network) for network in NETWORKS)
    versions = {package: version(package) for package in ("torch", "torchvision")}
    write_text(file_of(settings.out), to_json(CountedNetworks(counted, **versions)))
    for network in counted:
        terminal().print(
            f"{network.name}, {network.classes} classes, {network.side} px: {network.cost.params:,} parameters, "
            f"{network.cost.macs:,} multiply-adds"
        )


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
