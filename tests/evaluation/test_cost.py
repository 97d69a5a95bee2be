"""Cost against the thesis' published numbers, to the unit, and against what torch counts, runs and stores."""

import csv
from dataclasses import replace
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from bcnn_prune.evaluation.cost import cost_lines, file_bytes, peak_activation_bytes, total_cost
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model import checkpoint
from bcnn_prune.model.heads import bilinear_pool, signed_sqrt
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.records import Cost
from bcnn_prune.spec import ModelSpec
from tests.helpers.elementwise import Elementwise
from tests.helpers.features import bilinear_features
from tests.helpers.strategies import TINY, plans, random_images, random_model, small_network

THESIS = Path(__file__).parents[2] / "results" / "reference" / "thesis_results.csv"
ROWS = [row for row in csv.DictReader(THESIS.read_text().splitlines()) if row["widths"]]


def test_cost_of_the_vgg16_trunk() -> None:
    spec = ModelSpec.of("vgg16", 2)
    lines = [line for name, line in cost_lines(spec, side=224).items() if name.split()[0] in spec.trunk]
    assert sum(line.params for line in lines) == 14_723_136
    assert sum(line.macs for line in lines) == 15_346_630_656


@pytest.mark.parametrize(("classes", "params"), [(100, 40_937_636), (196, 66_103_556), (200, 67_152_136)])
def test_parameters_of_the_unpruned_networks(classes: int, params: int) -> None:
    assert total_cost(ModelSpec.of("vgg16", classes), side=224).params == params


def test_all_published_rows_with_widths_are_here() -> None:
    assert len(ROWS) == 37


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['table']}-{row['dataset']}-{row['method']}-{row['prune']}")
def test_published_widths_give_the_published_cost(row: dict[str, str]) -> None:
    spec = ModelSpec("vgg16", tuple(map(int, row["widths"].split())), int(row["classes"]))
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


@pytest.mark.parametrize("backbone", ["vgg11", "vgg13", "vgg16", "vgg19", "mobilenet", "alexnet", "student"])
@pytest.mark.parametrize("side", [75, 144])
def test_odd_sides(backbone: str, side: int) -> None:
    spec = ModelSpec.of(backbone, 7, 0.05)
    model = BilinearCNN(spec).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, side, side))
    assert total_cost(spec, side).macs * 2 == counter.get_total_flops()


def test_lines_add_up() -> None:
    spec = ModelSpec.of("vgg16", 196)
    lines = cost_lines(spec, 224)
    assert len(lines) == 4 * 13 + 4 + 5  # weights, bias, BN and ReLU of each convolution; max-pools; the head
    assert Cost(sum(line.params for line in lines.values()), sum(line.macs for line in lines.values())) == total_cost(
        spec, 224
    )
    assert lines["classifier"].params == 512 * 512 * 196
    assert lines["classifier bias"].params == 196
    assert lines["conv2_1"].params == 3 * 3 * 64 * 128
    assert lines["conv2_1 bias"].params == 128
    assert lines["bn2_1"].params == lines["bn2_1"].statistics == 2 * 128
    assert lines["pooling"].macs == 512 * 512 * 14 * 14
    assert lines["pooling"].flops == 2 * 512 * 512 * 14 * 14


@given(plans(TINY), st.sampled_from(["bilinear", "average"]), st.booleans())
def test_elementwise_operations_are_those_that_torch_is_asked_for(
    plan: ChannelPlan, head: Literal["bilinear", "average"], batch_norm: bool
) -> None:
    model = BilinearCNN(replace(plan.narrow(TINY), head=head, batch_norm=batch_norm)).eval()
    images = torch.zeros(1, 3, 32, 32)
    with torch.no_grad(), Elementwise() as counter:
        model(images)
    assert not counter.unknown
    assert sum(line.elementwise for line in cost_lines(model.spec, 32).values()) == counter.count


def test_elementwise_operations_of_a_low_rank_head() -> None:
    model = BilinearCNN(small_network("vgg11", "low-rank")).eval()
    images = torch.zeros(1, 3, 32, 32)
    with torch.no_grad(), Elementwise() as counter:
        model(images)
    assert not counter.unknown
    assert sum(line.elementwise for line in cost_lines(model.spec, 32).values()) == counter.count


def steps_seen(model: BilinearCNN, images: Tensor) -> dict[str, tuple[Tensor, bool]]:
    """The output of each step of a forward pass by its line's name, and if it lies where the input does."""
    seen: dict[str, tuple[Tensor, bool]] = {}

    def hook(name: str) -> Any:
        def see(_: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            seen[name] = output, inputs[0].data_ptr() == output.data_ptr()

        return see

    hooks = [module.register_forward_hook(hook(name)) for name, module in model.trunk.named_children()]
    with torch.no_grad():
        logits = model(images)
        features = seen[f"relu{model.spec.layers[-1].removeprefix('conv')}"][0]
        pooled = bilinear_pool(features)
        steps = {
            "pooling": pooled,
            "root": signed_sqrt(pooled),
            "norm": bilinear_features(features),
            "classifier": logits,
        }
    for one in hooks:
        one.remove()
    return {**seen, **{name: (tensor, False) for name, tensor in steps.items()}}


WIDE_FIRST = replace(TINY, widths=(9, *TINY.widths[1:]))  # or the image would outweigh what is written in place


@given(plans(WIDE_FIRST), st.booleans(), st.sampled_from([32, 37]))
def test_outputs_are_those_of_the_modules_and_the_peak_the_largest_pair(
    plan: ChannelPlan, batch_norm: bool, side: int
) -> None:
    model = BilinearCNN(replace(plan.narrow(WIDE_FIRST), batch_norm=batch_norm)).eval()
    images = torch.zeros(2, 3, side, side)
    seen, lines = steps_seen(model, images), cost_lines(model.spec, side)
    assert list(seen) == [name for name in lines if not name.endswith("bias")]
    for name, (output, in_place) in seen.items():
        assert output.numel() == 2 * lines[name].outputs, name
        assert in_place == lines[name].in_place, name
    assert all(line.in_place for name, line in lines.items() if name.endswith("bias"))  # the same tensor
    activations = [images.nbytes, *(output.nbytes for output, in_place in seen.values() if not in_place)]
    assert peak_activation_bytes(model.spec, side, batch=2) == max(map(sum, pairwise(activations)))
    halves = [nbytes // 2 for nbytes in activations]
    assert peak_activation_bytes(model.spec, side, batch=2, element_bytes=2) == max(map(sum, pairwise(halves)))


def test_the_peak_is_that_of_the_first_layers() -> None:
    assert peak_activation_bytes(ModelSpec.of("vgg16", 196), 224) == 2 * 64 * 224 * 224 * 4
    assert peak_activation_bytes(WIDE_FIRST, 32) == (9 + 9) * 32 * 32 * 4
    assert peak_activation_bytes(WIDE_FIRST, 32, folded=True) == (3 + 9) * 32 * 32 * 4


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("head", ["bilinear", "average"])
def test_file_bytes_are_those_of_the_checkpoint_without_its_header(
    head: Literal["bilinear", "average"], batch_norm: bool, tmp_path: Path
) -> None:
    spec = replace(TINY, head=head, batch_norm=batch_norm)
    info = checkpoint.CheckpointInfo(ModelCard(spec, ("a", "b", "c"), "made up", 32), spec, ChannelPlan.keep_all(spec))
    checkpoint.save(tmp_path / "model.safetensors", BilinearCNN(spec), info)
    file = (tmp_path / "model.safetensors").read_bytes()
    header = 8 + int.from_bytes(file[:8], "little")  # safetensors: the header's length, the header, the tensors
    assert file_bytes(spec) == len(file) - header


class Folded(nn.Module):
    """BN folded into its convolution by torch; a classifier over the upper triangle of the normalised matrix."""

    def __init__(self, model: BilinearCNN) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        for module in model.trunk:
            if isinstance(module, nn.BatchNorm2d):
                conv = steps.pop()
                assert isinstance(conv, nn.Conv2d)
                module = fuse_conv_bn_eval(conv, module)
            steps.append(module)
        self.trunk = nn.Sequential(*steps)
        width, classes = model.spec.widths[-1], model.spec.classes
        self.rows, self.columns = torch.triu_indices(width, width)
        self.classifier = nn.Linear(len(self.rows), classes, dtype=torch.float64)
        matrices = model.classifier.weight.detach().view(classes, width, width)
        both = matrices + matrices.mT - torch.diag_embed(matrices.diagonal(dim1=1, dim2=2))
        self.classifier.weight.data = both[:, self.rows, self.columns]
        self.classifier.bias.data = model.classifier.bias.data

    def forward(self, images: Tensor) -> Tensor:
        features = self.trunk(images)
        matrix = bilinear_features(features).unflatten(1, (features.shape[1], -1))
        logits: Tensor = self.classifier(matrix[:, self.rows, self.columns])
        return logits


@given(plans(TINY), st.booleans())
def test_the_folded_cost_is_that_of_a_folded_network_with_the_same_logits(plan: ChannelPlan, batch_norm: bool) -> None:
    model, images = random_model(replace(plan.narrow(TINY), batch_norm=batch_norm)), random_images(1)
    network = Folded(model).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        logits = network(images)
    assert_close(logits, model(images))
    tensors = network.state_dict().values()
    cost = total_cost(model.spec, images.shape[-1], folded=True)
    assert cost == Cost(sum(map(Tensor.numel, network.parameters())), counter.get_total_flops() // 2)
    assert file_bytes(model.spec, folded=True) == 4 * sum(prod(tensor.shape) for tensor in tensors)


def test_folding_leaves_the_trunks_multiply_adds_and_half_the_classifier() -> None:
    whole, folded = (cost_lines(ModelSpec.of("vgg16", 196), 224, folded) for folded in (False, True))
    assert set(whole) - set(folded) == {name for name in whole if name.startswith("bn")}
    assert folded["classifier"].params == folded["classifier"].macs == (512**2 + 512) // 2 * 196
    assert folded["root"].outputs == folded["norm"].outputs == (512**2 + 512) // 2
    assert all(folded[name] == whole[name] for name in folded if name not in ("root", "norm", "classifier"))


def test_folding_an_average_head_leaves_it_as_it_is() -> None:
    spec = ModelSpec("vgg11", TINY.widths, 3, head="average", batch_norm=False)
    assert cost_lines(spec, 32, folded=True) == cost_lines(spec, 32)
