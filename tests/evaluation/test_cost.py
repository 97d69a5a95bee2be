"""Cost against the thesis' published numbers, to the unit, and against torch's own counter."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from bcnn_prune.evaluation.cost import cost_lines, total_cost, trunk_cost
from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.records import Cost
from bcnn_prune.spec import STAGES, ModelSpec
from tests.strategies import TINY, plans

THESIS = Path(__file__).parents[2] / "results" / "reference" / "thesis_results.csv"
ROWS = [row for row in csv.DictReader(THESIS.read_text().splitlines()) if row["widths"]]


def test_cost_of_the_vgg16_trunk() -> None:
    assert trunk_cost(ModelSpec.vgg(16, 2), side=224) == Cost(params=14_723_136, macs=15_346_630_656)


@pytest.mark.parametrize(("classes", "params"), [(100, 40_937_636), (196, 66_103_556), (200, 67_152_136)])
def test_parameters_of_the_unpruned_networks(classes: int, params: int) -> None:
    assert total_cost(ModelSpec.vgg(16, classes), side=224).params == params


def test_all_published_rows_with_widths_are_here() -> None:
    assert len(ROWS) == 37


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['table']}-{row['dataset']}-{row['method']}-{row['prune']}")
def test_published_widths_give_the_published_cost(row: dict[str, str]) -> None:
    spec = ModelSpec(16, tuple(map(int, row["widths"].split())), int(row["classes"]))
    cost = total_cost(spec, side=224)
    assert cost.params == int(row["params"])
    # The author's multiply-adds are rounded, and of the head they count something else than its products.
    assert cost.macs / 1e9 == pytest.approx(float(row["gmacs_224"]), abs=0.05)


@given(plans(TINY), st.sampled_from(["bilinear", "average"]), st.booleans())
def test_a_pruned_network_has_the_parameters_and_multiply_adds_that_torch_counts(
    plan: ChannelPlan, head: Literal["bilinear", "average"], batch_norm: bool
) -> None:
    model = BilinearCNN(replace(plan.narrow(TINY), head=head, batch_norm=batch_norm)).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 32, 32))
    cost = total_cost(model.spec, side=32)
    assert cost.macs * 2 == counter.get_total_flops()
    assert cost.params == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("depth", STAGES)
@pytest.mark.parametrize("side", [64, 75, 144])
def test_every_depth_and_odd_sides(depth: int, side: int) -> None:
    spec = ModelSpec.vgg(depth, 7, 0.05)
    model = BilinearCNN(spec).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, side, side))
    assert total_cost(spec, side).macs * 2 == counter.get_total_flops()


def test_lines_add_up() -> None:
    spec = ModelSpec.vgg(16, 196)
    lines = cost_lines(spec, 224)
    assert len(lines) == 13 + 13 + 2
    assert sum(line.params for line in lines.values()) == total_cost(spec, 224).params
    assert lines["classifier"].params == 512 * 512 * 196 + 196
    assert lines["pooling"].macs == 512 * 512 * 14 * 14
