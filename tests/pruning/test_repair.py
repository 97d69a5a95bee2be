"""Least-squares repair: exact where dropped channels repeat kept ones, else as close as any weights can be."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from bcnn_prune.model.network import BilinearCNN, forward_hook
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.repair import repaired
from bcnn_prune.pruning.surgery import largest_difference, rebuild
from bcnn_prune.spec import ModelSpec
from tests.helpers.strategies import TINY, random_images, random_model

EVERY = 10**6  # positions: all that there are
COPIES = {"conv2_1": ((3, 0, 2.0), (2, 1, 0.5)), "conv3_1": ((0, 4, 3.0),), "conv4_2": ((4, 2, 0.25),)}
"""Channels that are a multiple of another's output: (channel, of, factor)."""


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def batches(count: int = 64) -> list[Tensor]:
    return list(random_images(count, side=32, seed=3).split(16))


def with_copies(spec: ModelSpec) -> BilinearCNN:
    """A network in which some channels emit a multiple of what others do."""
    model = random_model(spec)
    for layer, copies in COPIES.items():
        conv = model.prunable[layer]
        last = model.norms.get(layer, conv)
        for channel, of, factor in copies:
            for module in {conv, last}:
                for tensor in module.state_dict().values():
                    if tensor.ndim:
                        tensor[channel] = tensor[of]
            last.weight.data[channel] *= factor
            last.bias.data[channel] *= factor
    return model


def plan_of(spec: ModelSpec, dropped: dict[str, set[int]]) -> ChannelPlan:
    return ChannelPlan(
        {
            layer: tuple(i for i in range(width) if i not in dropped.get(layer, set()))
            for layer, width in spec.width_of.items()
        }
    )


@pytest.mark.parametrize("spec", [TINY, replace(TINY, batch_norm=False)], ids=["batch norm", "plain"])
def test_nothing_is_lost_where_dropped_channels_repeat_kept_ones(spec: ModelSpec) -> None:
    model = with_copies(spec)
    plan = plan_of(spec, {layer: {channel for channel, _, _ in copies} for layer, copies in COPIES.items()})
    narrow = repaired(model, plan, batches(), draws(), ridge=1e-13, positions=EVERY)
    assert narrow.spec == plan.narrow(spec)
    new = random_images(8, side=32, seed=9)
    assert largest_difference(narrow, model, new) < 1e-6
    assert largest_difference(rebuild(model, plan), model, new) > 1e-4


def test_the_next_layer_has_the_weights_that_least_squares_on_all_patches_gives() -> None:
    """The oracle unfolds the maps with another function and solves by another algorithm, without a ridge."""
    model, images = random_model(TINY), torch.cat(batches())
    plan = plan_of(TINY, {"conv1_1": {1}})
    narrow = repaired(model, plan, batches(), draws(), ridge=1e-13, positions=EVERY)
    first, second = TINY.layers[:2]
    maps = model.norms[first](model.prunable[first](images)).relu()
    maps = F.max_pool2d(maps, 2)  # VGG-11 has one behind its first convolution
    patches = F.unfold(maps[:, list(plan.kept[first])], 3, padding=1).transpose(1, 2).flatten(0, 1)
    targets = model.prunable[second](maps).flatten(2).transpose(1, 2).flatten(0, 1)
    solution = torch.linalg.lstsq(F.pad(patches, (0, 1), value=1.0), targets).solution.detach()
    assert_close(narrow.prunable[second].weight.detach().flatten(1), solution[:-1].T, rtol=1e-5, atol=1e-7)
    assert_close(narrow.prunable[second].bias.detach(), solution[-1], rtol=1e-5, atol=1e-7)  # type: ignore[union-attr]


def test_a_cut_of_nothing_changes_nothing_and_the_model_is_untouched() -> None:
    model = random_model(TINY).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    narrow = repaired(model, ChannelPlan.keep_all(TINY), batches(16), draws(), positions=100)
    assert model.training
    assert narrow.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
        assert_close(narrow.state_dict()[name], before[name])


def test_an_endless_ridge_leaves_the_weights_of_the_plain_cut() -> None:
    model, plan = random_model(TINY), plan_of(TINY, {"conv2_1": {0, 3}, "conv4_1": {1}})
    narrow, plain = repaired(model, plan, batches(16), draws(), ridge=1e12, positions=200), rebuild(model, plan)
    for name, tensor in plain.state_dict().items():
        if not name.endswith("bias"):
            assert_close(narrow.state_dict()[name], tensor, rtol=1e-6, atol=1e-6)


def test_the_constant_is_free_where_inputs_are_small_or_nothing() -> None:
    """Only the bias can follow what the second layer loses, however large the ridge is beside its inputs."""
    model, images = random_model(TINY), torch.cat(batches())
    first, second = TINY.layers[:2]
    for factor in (1e-3, 0.0):
        for parameter in model.norms[first].parameters():
            parameter.data[[0, 2]] *= factor
        plan = plan_of(TINY, {first: {1}})
        narrow = repaired(model, plan, batches(), draws(), positions=EVERY)
        maps = F.max_pool2d(model.norms[first](model.prunable[first](images)).relu(), 2)
        missing = model.prunable[second](maps) - narrow.prunable[second](maps[:, [0, 2]])
        assert missing.mean((0, 2, 3)).abs().max() < 1e-9


@pytest.mark.parametrize("backbone", ["mobilenet", "vgg11"])
def test_convolutions_without_a_bias_are_fitted_too(backbone: str) -> None:
    """MobileNet has none with a bias, and of a reduced head the reduction has none."""
    model = random_model(ModelSpec.of(backbone, 3, 0.125, "reduced", reduce_to=8))
    plan = ChannelPlan({layer: tuple(range(width - width // 4)) for layer, width in model.spec.width_of.items()})
    plain, narrow = rebuild(model, plan), repaired(model, plan, batches(), draws())
    fitted = {
        layer
        for layer, module in narrow.prunable.items()
        if not torch.equal(module.weight, plain.prunable[layer].weight)
    }
    assert fitted == {layer for layer in model.spec.layers[1:] if plain.prunable[layer].groups == 1}
    last = model.spec.pooled
    images = random_images(32, side=32, seed=3)

    def made(network: BilinearCNN) -> Tensor:
        found: list[Tensor] = []
        with (
            torch.no_grad(),
            forward_hook(network.norms[last], lambda _, _inputs, output: found.append(output.clone())),
        ):
            network.eval()(images)
        return found[0]

    wanted = made(model)[:, list(plan.kept[last])]
    assert (made(narrow) - wanted).square().mean() < 0.9 * (made(plain) - wanted).square().mean()
