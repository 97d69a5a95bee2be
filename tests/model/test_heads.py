"""The head's arithmetic against loops over positions, and where mixed precision must not touch it."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from bcnn_prune.model.heads import bilinear_pool, covariance_pool, matrix_sqrt, signed_sqrt
from bcnn_prune.model.network import BilinearCNN
from tests.helpers.features import bilinear_features
from tests.helpers.strategies import TINY, random_images, random_model, small_network


def test_pooling_is_the_mean_outer_product() -> None:
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    for image, pooled in zip(x.numpy(), bilinear_pool(x).numpy(), strict=True):
        outer = [np.outer(image[:, i, j], image[:, i, j]) for i in range(4) for j in range(5)]
        np.testing.assert_allclose(pooled, np.mean(outer, axis=0), rtol=1e-12)


def test_an_isqrt_head_takes_the_root_of_the_covariance() -> None:
    x = torch.randn(3, 4, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    covariances = covariance_pool(x)
    for image, found in zip(x, covariances, strict=True):
        assert_close(found, torch.cov(image.flatten(1), correction=0))
    values, vectors = torch.linalg.eigh(covariances)
    assert_close(matrix_sqrt(covariances, iterations=20), vectors @ torch.diag_embed(values.sqrt()) @ vectors.mT)


def test_the_signed_root_keeps_zero_and_sign() -> None:
    p = torch.tensor([-4.0, 0.0, 9.0], dtype=torch.float64)
    assert_close(signed_sqrt(p), torch.tensor([-2.0, 0.0, 3.0], dtype=torch.float64), rtol=1e-8, atol=0)


def test_features_are_unit_vectors_and_a_silent_map_has_none() -> None:
    assert_close(bilinear_features(torch.randn(3, 4, 2, 2)).norm(dim=1), torch.ones(3))
    assert bilinear_features(torch.zeros(1, 4, 2, 2)).count_nonzero() == 0


def test_gradients_are_finite_where_channels_are_silent() -> None:
    x = torch.randn(2, 4, 3, 3) * torch.tensor([1.0, 0.0, 1.0, 0.0])[:, None, None]
    x.requires_grad_()
    bilinear_features(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_in_fp16_the_head_would_have_no_gradient_at_zero_and_under_autocast_has_one() -> None:
    """1e-8 is zero in fp16, so the root's slope is infinite there: why the head leaves autocast."""
    x = torch.zeros(1, 2, 2, 2, dtype=torch.float16, requires_grad=True)
    bilinear_features(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isnan().any()
    model = random_model(TINY).float()
    torch.nn.init.constant_(model.norms["conv5_2"].weight, 0.0)
    torch.nn.init.constant_(model.norms["conv5_2"].bias, 0.0)
    with torch.autocast("cpu", torch.float16):
        logits = model(random_images().float())
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_gradients_are_those_of_finite_differences() -> None:
    x = torch.rand(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)  # all products well away from the root's kink
    assert torch.autograd.gradcheck(bilinear_features, x)


def test_a_low_rank_head_scores_as_the_matrices_that_its_directions_make() -> None:
    """Before root and norm: a_k · mean (U·x)² against the mean over positions of xᵀ·(Uᵀ·diag(a_k)·U)·x."""
    model = random_model(small_network("vgg11", "low-rank", batch_norm=False)).double()
    reduce, a = model.trunk.get_submodule("conv_reduce"), model.classifier.weight
    assert isinstance(reduce, torch.nn.Conv2d)
    torch.nn.init.zeros_(reduce.bias)
    u = reduce.weight.flatten(1)
    x = torch.randn(2, u.shape[1], 3, 5, dtype=torch.float64)
    pooled = model.head.get_submodule("pooling")(model.head.get_submodule("square")(reduce(x)))
    matrices = torch.einsum("rc,kr,rd->kcd", u, a, u)
    assert_close(pooled @ a.T, torch.einsum("nchw,kcd,ndhw->nk", x, matrices, x) / 15)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_the_head_runs_in_fp32(dtype: torch.dtype) -> None:
    """Activations of 400: their products (160,000) are beyond fp16, whose pooled map would be infinite."""
    model = random_model(TINY).float()
    norm = list(model.norms.values())[-1]
    norm.bias.data.fill_(400.0)
    with torch.autocast("cpu", dtype):
        logits = model(random_images().float())
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    in_half = model.trunk(random_images().float()).half()
    assert not bilinear_pool(in_half).isfinite().all()
    assert_close(logits, model(random_images().float()), rtol=0.05, atol=0.05)


def test_logits_have_the_shape_of_the_classes_at_any_side() -> None:
    model = BilinearCNN(TINY).eval()
    for side in (16, 31, 64):
        assert model(torch.zeros(2, 3, side, side)).shape == (2, 3)
