"""Repair convolutions after a cut by least squares, from unlabelled images: before any training.

Each convolution gets the weights with which its kept inputs come closest to what it made of all of them, layer by
layer, on the outputs of layers that are repaired already (ThiNet, Luo et al. 2017; He et al. 2017, eq. 1 and 5)."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from bcnn_prune.layers import Norm
from bcnn_prune.model.network import BilinearCNN, evaluating, forward_hook
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.surgery import rebuild

RIDGE = 1e-2  # of the mean square of an input: the usual damping of layer-wise solvers (GPTQ; Frantar et al. 2023)
POSITIONS = 50_000  # per layer, drawn from all images: ten for each weight of a filter that reads 512 channels


@torch.no_grad()
def repaired(
    model: BilinearCNN,
    plan: ChannelPlan,
    batches: Sequence[Float[Tensor, "batch colours h w"]],
    generator: torch.Generator,
    ridge: float = RIDGE,
    positions: int = POSITIONS,
) -> BilinearCNN:
    """Rebuild `model` by `plan`, with weights and biases of the convolutions fitted on batches of normalised images.

    Where dropped channels, none of them the last layer's, are multiples of kept ones, the copy comes as near to what
    `model` computes as `ridge` is small: it draws weights towards those that the plain cut leaves. A convolution
    without a bias has its constant taken by the BN behind it. The classifier stays as cut: a bilinear head is not
    linear in its channels. `model` is untouched."""
    narrow = rebuild(model, plan)
    norms = {one.name: two.name for one, two in pairwise(narrow.steps) if isinstance(two.layer, Norm)}
    with evaluating(model, narrow):
        for layer in model.spec.layers[1:]:
            kept = torch.tensor(plan.kept[layer], device=model.device)
            conv, system = narrow.prunable[layer], _NormalEquations()
            if not isinstance(conv, nn.Conv2d) or conv.groups > 1 or (conv.bias is None and layer not in norms):
                continue
            for images in batches:
                wanted = _captured(model, model.prunable[layer], images, lambda _inputs, output: output)[:, kept]
                inputs = _captured(narrow, conv, images, lambda inputs, _output: inputs)
                missing = wanted - conv(inputs)
                chosen = _drawn(missing, positions // len(batches) + 1, generator)
                system.add(_patches(inputs, conv, chosen), missing.permute(0, 2, 3, 1)[chosen])
            change = system.solution(ridge).to(conv.weight)
            conv.weight += change[:-1].T.reshape(conv.weight.shape)
            if conv.bias is None:
                narrow.layer(norms[layer]).state_dict()["running_mean"].sub_(change[-1])
            else:
                conv.bias += change[-1]
    return narrow


class _NormalEquations:
    """Least squares of targets on inputs and a constant, rows of both added batch by batch, in float64."""

    def __init__(self) -> None:
        self._gram: Tensor | float = 0.0
        self._cross: Tensor | float = 0.0

    def add(self, inputs: Float[Tensor, "rows inputs"], targets: Float[Tensor, "rows outputs"]) -> None:
        with_constant = F.pad(inputs.double(), (0, 1), value=1.0)
        self._gram = self._gram + with_constant.T @ with_constant
        self._cross = self._cross + with_constant.T @ targets.double()

    def solution(self, ridge: float) -> Float[Tensor, "inputs_and_constant outputs"]:
        """Coefficients; `ridge` times the mean square of the inputs is added to each square but the constant's. Inputs
        that are all zero have coefficients of zero."""
        assert isinstance(self._gram, Tensor)
        assert isinstance(self._cross, Tensor)
        squares = self._gram.diagonal()[:-1]
        squares.add_(ridge * float(squares.mean()) or 1.0)
        coefficients: Tensor = torch.linalg.solve(self._gram, self._cross)
        return coefficients


def _captured(
    model: BilinearCNN, module: nn.Module, images: Tensor, part: Callable[[Tensor, Tensor], Tensor]
) -> Float[Tensor, "batch c h w"]:
    """Input or output of `module` on normalised images, whichever `part` takes."""
    found: list[Tensor] = []
    # A copy, as the BatchNorm or ReLU behind it may write in place.
    with forward_hook(module, lambda _, inputs, output: found.append(part(inputs[0], output).clone())):
        model(images)
    return found[0]


def _drawn(maps: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Image, row and column of some positions; of all where there are no more than `count`."""
    images, _, rows, columns = maps.shape
    places = torch.randperm(images * rows * columns, generator=generator)[:count].to(maps.device)
    return places // (rows * columns), places // columns % rows, places % columns


def _patches(
    inputs: Float[Tensor, "batch c h w"], conv: nn.Conv2d, places: tuple[Tensor, Tensor, Tensor]
) -> Float[Tensor, "rows inputs"]:
    """Input patches of `conv` at these places of its output."""
    rows, columns = map(int, conv.padding)
    padded = F.pad(inputs, (columns, columns, rows, rows))
    windows = padded.unfold(2, conv.kernel_size[0], conv.stride[0]).unfold(3, conv.kernel_size[1], conv.stride[1])
    return windows.permute(0, 2, 3, 1, 4, 5)[places].flatten(1)
