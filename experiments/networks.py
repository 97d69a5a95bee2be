"""Any network line by line: output, parameters with the sum written out, multiply-adds.

    python -m experiments.networks
    python -m experiments.networks --backbone mobilenet --alpha 0.5 --head reduced --reduce-to 64 --classes 196

Without a backbone it lists them all, each as it was published."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.table import Table

from bcnn_prune.backbones import BACKBONES
from bcnn_prune.command_line.check import at_least, more_than, one_of
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.heads import HEADS
from bcnn_prune.layers import Activation, Step
from bcnn_prune.spec import ModelSpec
from experiments.run import cli
from experiments.run.console import terminal
from experiments.run.settings import REDUCED, BackboneName, check_reduction


@dataclass(frozen=True, kw_only=True)
class Settings:
    backbone: BackboneName | None = None
    """One of the list; all of them if not given."""
    width: Annotated[float, tyro.conf.arg(aliases=("--alpha",))] = 1.0
    """Channels of every layer as a multiple of the published ones."""
    head: str | None = None
    """bilinear, average, flatten, reduced, isqrt or low-rank; the published one if not given."""
    reduce_to: int = REDUCED
    """Channels that the heads reduced, isqrt and low-rank pool."""
    classes: int = 1000
    """Outputs of the classifier."""
    side: int | None = None
    """Pixels of the images; as published if not given."""

    def check(self) -> None:
        """Raise ValueError for a value that cannot work."""
        if self.backbone is not None:
            one_of(BACKBONES, backbone=self.backbone)
        if self.head is not None:
            one_of(HEADS, head=self.head)
            check_reduction(self.head, self.reduce_to)
        at_least(2, classes=self.classes)
        at_least(1, reduce_to=self.reduce_to, side=self.side)
        more_than(0, width=self.width)


def main(settings: Settings) -> None:
    settings.check()
    if settings.backbone is None:
        terminal().print(overview(settings))
        return
    spec, side = network(settings, settings.backbone)
    terminal().print(written_out(spec, side))


def network(settings: Settings, backbone: str) -> tuple[ModelSpec, int]:
    """The network of the settings, and the side of its images."""
    known = BACKBONES[backbone]
    head, side = settings.head or known.head, settings.side or known.side
    spec = ModelSpec.of(backbone, settings.classes, settings.width, head, reduce_to=settings.reduce_to, side=side)
    return spec, side


def overview(settings: Settings) -> Table:
    """A row per backbone."""
    table = Table(title=f"Backbones, {settings.classes:,} classes")
    for column in ("backbone", "head", "input"):
        table.add_column(column)
    for column in ("prunable channels", "parameters", "multiply-adds"):
        table.add_column(column, justify="right")
    for backbone in BACKBONES:
        spec, side = network(settings, backbone)
        cost = total_cost(spec, side)
        image = f"{spec.image_channels} × {side} × {side}"
        table.add_row(backbone, spec.head, image, f"{spec.channels:,}", f"{cost.params:,}", f"{cost.macs:,}")
    return table


def written_out(spec: ModelSpec, side: int) -> Table:
    """A row per layer, the sums as an exercise sheet asks for them: 3·3·3·32 + 32 = 896."""
    cost = total_cost(spec, side)
    table = Table(title=f"{spec.title}, {spec.classes:,} classes, {side} px", show_footer=True)
    table.add_column("layer", "total")
    table.add_column("output")
    table.add_column("parameters", f"{cost.params:,}", justify="right")
    table.add_column("multiply-adds", f"{cost.macs:,}", justify="right")
    for row in rows(spec, side):
        table.add_row(*row)
    return table


def rows(spec: ModelSpec, side: int) -> Iterator[tuple[str, str, str, str]]:
    """Layer, output, parameters and multiply-adds in words."""
    for step in spec.steps(side):
        lines = step.layer.lines(step.name, step.x, step.y).values()
        params = [line.param_factors for line in lines if line.param_factors]
        macs = [line.mac_factors for line in lines if line.mac_factors]
        totals = sum(line.params for line in lines), sum(line.macs for line in lines)
        yield step.name, _shape(step), _sum(params, totals[0]), _sum(macs, totals[1])


def _sum(products: list[tuple[int, ...]], total: int) -> str:
    if not products:
        return ""
    terms = " + ".join("·".join(map(str, factors)) for factors in products)
    return f"{terms} = {total:,}"


def _shape(step: Step) -> str:
    y: Activation = step.y
    return " × ".join(map(str, y.factors if y.layout != "flat" else (y.size,)))


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
