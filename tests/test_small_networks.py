"""The network that runs in tests start from: it parts the colours as widely as its description says."""

from pathlib import Path

import pytest
import torch

from bcnn_prune.data.augment import normalised
from bcnn_prune.data.batches import read_split
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.ranking import keep_highest
from bcnn_prune.pruning.sparsity import scales
from bcnn_prune.pruning.surgery import rebuild
from bcnn_prune.spec import ModelSpec
from tests.helpers.features import bilinear_features
from tests.helpers.small_networks import COLOURS, NEEDED, SPARE, telling_colours
from tests.helpers.small_sets import colours


@pytest.mark.parametrize(("width", "side"), [(0.06, 16), (0.125, 24)])
def test_features_of_two_colours_are_orthogonal_also_after_the_spare_channels_are_cut(
    width: float, side: int, tmp_path: Path
) -> None:
    colours(tmp_path / "set.h5", side=side)
    model = telling_colours(ModelSpec.of("vgg11", COLOURS, width), tmp_path / "set.h5")
    val = read_split(tmp_path / "set.h5", "val", torch.device("cpu"))
    alike = val.labels[:, None] == val.labels
    drop = model.spec.channels - COLOURS * len(model.spec.widths)
    plan = keep_highest(scales(model), drop, min_channels=1)
    assert plan == ChannelPlan(dict.fromkeys(model.spec.layers, tuple(range(COLOURS))))
    for network in (model, rebuild(model, plan)):
        with torch.no_grad():
            features = bilinear_features(network.trunk(normalised(val.images)))
        cosines = features @ features.T
        assert cosines[alike].min() > 0.99
        assert cosines[~alike].max() < 0.01


def test_the_scales_are_those_that_it_names(tmp_path: Path) -> None:
    colours(tmp_path / "set.h5")
    learned = scales(telling_colours(ModelSpec.of("vgg11", COLOURS, 0.06), tmp_path / "set.h5"))
    spare = torch.cat([values[COLOURS:] for values in learned.values()])
    assert all((values[:COLOURS] == NEEDED).all() for values in learned.values())
    assert SPARE[0] <= spare.min()
    assert spare.max() <= SPARE[1] < NEEDED
    assert len(spare.unique()) == len(spare)
