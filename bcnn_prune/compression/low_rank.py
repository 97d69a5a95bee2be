"""Layers as products of two, by singular value decomposition: the best weights for every form of FORMS.

A form replaces matrices of a layer's weights by matrices of low rank. Truncated SVD is the nearest such matrix in the
sum of squares (Eckart and Young 1936). The basis of k × k filters is that of Zhang et al. 2015 (arXiv
1505.06798); a separable filter bank has rank 1 for each input channel; a grouped one factors every group by itself; a
reduction factors the inputs. At full rank each computes what the layer does, but for the separable form."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from bcnn_prune.forms import GROUPS
from bcnn_prune.layers import Linear
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.pruning.surgery import unwritten
from bcnn_prune.spec import CLASSIFIER, ModelSpec

Weight = Float[Tensor, "out inputs ..."]
"""Of a convolution, out × inputs × k × k, or of a dense layer."""


@torch.no_grad()
def converted(model: BilinearCNN, spec: ModelSpec) -> BilinearCNN:
    """`model` with the forms that `spec` has: the nearest weights, in float64. `model` is untouched.

    Raises ValueError where `spec` is of another network, or has more channels in a form than there are ranks."""
    if model.spec != spec.plain:
        raise ValueError("a network takes forms of its own layers: make them with its spec's with_forms")
    network, plain = unwritten(spec, model), model.spec.architecture
    forms = dict(zip((*model.spec.layers, CLASSIFIER), spec.forms, strict=False))
    for before, step in pairwise((None, *network.steps)):
        assert step is not None
        if step.name not in plain:
            continue  # the first layer of a form, which is set with the second
        state = model.layer(step.name).state_dict()
        if before and before.name not in plain:
            first, state["weight"] = factors(state["weight"].double(), forms[step.name], before.y.channels)
            bias = {"bias": first.new_zeros(len(first))} if isinstance(before.layer, Linear) else {}
            network.layer(before.name).load_state_dict({"weight": first, **bias})
        network.layer(step.name).load_state_dict(state)
    return network


def factors(weight: Weight, form: str, between: int) -> tuple[Tensor, Tensor]:
    """The weights of the two layers of a form with so many channels between them, nearest to `weight`.

    Raises ValueError for more channels than the matrices have ranks."""
    matrices = _matrices(weight, form)
    count = between // len(matrices)
    u, s, vh = torch.linalg.svd(matrices, full_matrices=False)
    if not 0 < count <= s.shape[1]:
        raise ValueError(f"{between} channels between the layers of the form {form}: take 1 to {s.numel()}")
    root = s[:, :count].sqrt()  # in both: layers of like size train at one rate
    left, right = u[..., :count] * root[:, None], root[..., None] * vh[:, :count]
    outputs, inputs, *kernel = weight.shape
    if form == "reduced":
        return left[0].T[..., None, None], right[0].reshape(-1, outputs, *kernel).transpose(0, 1)
    first = right.reshape(-1, inputs // len(matrices), *kernel)
    return first, left.transpose(0, 1).flatten(1)[(..., *[None] * len(kernel))]


def energies(weight: Weight, form: str) -> Float[Tensor, " ranks"]:
    """The share of the sum of squared weights that a form keeps, by the rank of each of its matrices from 1 on."""
    squares: Tensor = torch.linalg.svdvals(_matrices(weight, form)).square().sum(0)
    return squares.cumsum(0) / squares.sum().clamp_min(torch.finfo(squares.dtype).tiny)


def blocks_of(form: str, inputs: int) -> int:
    """In how many blocks of its input channels a form factors a layer."""
    return {"grouped": GROUPS, "separable": inputs}.get(form, 1)


def _matrices(weight: Weight, form: str) -> Float[Tensor, "blocks rows columns"]:
    """The matrices whose ranks a form limits, one for each block of input channels."""
    if form == "reduced":
        return weight.transpose(0, 1).flatten(1)[None]
    return weight.reshape(len(weight), blocks_of(form, weight.shape[1]), -1).transpose(0, 1)
