"""Augmentation: what it must leave alone, and that every image has draws of its own."""

import torch
from torch.testing import assert_close
from torchvision.transforms.v2 import functional as tv

from bcnn_prune.data.augment import augmented, normalised
from bcnn_prune.records import Augmentation

NONE = Augmentation(flip=False)
ALL = Augmentation(rotation=15.0, shift=0.1, zoom=0.1, colour=0.2)


def photo(side: int = 24) -> torch.Tensor:
    """Smooth, so that resampling costs little, and different everywhere."""
    y, x = torch.meshgrid(torch.linspace(0, 3, side), torch.linspace(0, 3, side), indexing="ij")
    return ((torch.stack([x.sin(), (x + 2 * y).cos(), (y - x).sin()]) + 1) * 127).to(torch.uint8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_normalising_maps_bytes_to_minus_one_to_one() -> None:
    ends = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2).expand(1, 3, 1, 2)
    assert normalised(ends).unique().tolist() == [-1, 1]


def test_no_amount_changes_nothing() -> None:
    images = torch.stack([photo(), photo().flip(1)])
    assert_close(augmented(images, NONE, seeded()), normalised(images), atol=1e-5, rtol=0)


def test_a_mirrored_image_is_mirrored_exactly() -> None:
    images = photo().expand(64, 3, 24, 24)
    x = augmented(images, Augmentation(), seeded())
    same = (x - normalised(images)).abs().amax((1, 2, 3)) < 1e-5
    mirrored = (x - normalised(images).flip(3)).abs().amax((1, 2, 3)) < 1e-5
    assert (same ^ mirrored).all()
    assert 16 <= mirrored.sum() <= 48


def test_a_rotation_is_torchvisions_away_from_the_border() -> None:
    """The angle is not told, so it is looked for: some angle within the amount must explain the image."""
    x = augmented(photo()[None], Augmentation(rotation=15.0, flip=False), seeded(3))
    angles = torch.linspace(-15, 15, 301).tolist()
    rotated = [tv.rotate(normalised(photo()[None]), angle, tv.InterpolationMode.BILINEAR) for angle in angles]
    gaps = [float((r - x)[..., 7:17, 7:17].abs().max()) for r in rotated]
    assert min(gaps) < 0.01
    assert abs(angles[gaps.index(min(gaps))]) > 1
    assert sorted(gaps)[len(gaps) // 2] > 0.05


def test_each_image_has_draws_of_its_own_from_the_generator() -> None:
    images = photo().expand(8, 3, 24, 24)
    x = augmented(images, ALL, seeded())
    assert torch.equal(x, augmented(images, ALL, seeded()))
    assert all(not torch.equal(x[i], x[j]) for i in range(8) for j in range(i))
    assert not torch.equal(x, augmented(images, ALL, seeded(1)))


def test_values_stay_in_range_and_shape_and_input_are_kept() -> None:
    images = torch.randint(0, 256, (8, 3, 20, 20), dtype=torch.uint8)
    before = images.clone()
    x = augmented(images, ALL, seeded())
    assert x.shape == images.shape
    assert x.abs().max() <= 1 + 1e-5
    assert torch.equal(images, before)
