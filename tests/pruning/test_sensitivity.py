"""Sensitivity: each layer is cut alone, and the ranking that follows is the search for one threshold."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.pruning.importance import Scores, filter_norm, with_blocks
from bcnn_prune.pruning.ranking import keep_highest
from bcnn_prune.pruning.rules import rank
from bcnn_prune.pruning.sensitivity import by_sensitivity, sensitivity
from bcnn_prune.pruning.sparsity import scales
from bcnn_prune.records import Evaluation
from bcnn_prune.records.sensitivity import Sensitivity
from bcnn_prune.spec import ModelSpec
from tests.helpers.strategies import random_model, small_network

SPEC = ModelSpec.of("vgg11", 3, 0.125)
IMAGES = 40


@pytest.mark.parametrize("criterion", [scales, lambda model: filter_norm(model, (), torch.Generator())])
@pytest.mark.parametrize("spec", [SPEC, small_network("small-cnn-grouped", "average")], ids=lambda spec: spec.backbone)
def test_each_layer_is_cut_alone_to_each_width(spec: ModelSpec, criterion: Callable[[BilinearCNN], Scores]) -> None:
    model, seen = random_model(spec), list[ModelSpec]()
    before = copy.deepcopy(model.state_dict())

    def counted(narrow: BilinearCNN) -> Evaluation:
        seen.append(narrow.spec)
        narrow.classifier.weight.data.zero_()
        return Evaluation(IMAGES, sum(narrow.spec.widths) % IMAGES)

    found = sensitivity(model, criterion(model), "bn-scale", counted, (0.01, 0.5, 1.0))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert seen[0] == spec
    cut = iter(seen[1:])
    for layer, widths in found.widths.items():
        assert list(widths) == sorted(set(widths))
        for width, correct in zip(widths, found.correct[layer], strict=True):
            narrow = next(cut)
            assert narrow.width_of == {**spec.width_of, layer: width}
            assert width < spec.width_of[layer]
            assert correct == sum(narrow.widths) % IMAGES
    assert next(cut, None) is None


@st.composite
def maps(draw: st.DrawFn) -> Sensitivity:
    """Counts that may rise as more goes, as those of a few images do."""
    widths = {layer: tuple(sorted({1, width // 4, width // 2})) for layer, width in SPEC.width_of.items()}
    correct = {layer: tuple(draw(st.integers(0, IMAGES)) for _ in tried) for layer, tried in widths.items()}
    return Sensitivity("bn-scale", Evaluation(IMAGES, draw(st.integers(1, IMAGES))), widths, correct)


@given(maps(), st.integers(0, SPEC.channels - len(SPEC.layers)))
@settings(max_examples=30)
def test_the_plan_is_the_search_for_one_threshold(found: Sensitivity, drop: int) -> None:
    model = random_model(SPEC)
    scores = by_sensitivity(model, scales(model), found)
    plan = keep_highest(scores, drop, 1)
    threshold = max((float(scores[at][i]) for at, gone in plan.dropped(SPEC).items() for i in gone), default=-1.0)
    for layer, width in SPEC.width_of.items():
        kept = plan.kept[layer]
        # No measured width that is left would cost more than the threshold, but for the floor of one channel.
        for tried, loss in zip(found.widths[layer], found.losses(layer), strict=True):
            if len(kept) <= tried and len(kept) > 1:
                assert loss <= threshold + 1e-9
        assert len(kept) == 1 or (scores[layer][list(kept)] >= threshold - 1e-9).all()
        order = scales(model)[layer].argsort(descending=True, stable=True)[: len(kept)]
        assert set(kept) == set(order.tolist()), width


def test_losses_between_measured_widths_are_interpolated_and_never_fall() -> None:
    (layer, *others), images = SPEC.layers, IMAGES
    widths = {layer: (2, 4), **dict.fromkeys(others, (1,))}
    correct = {layer: (20, 36), **dict.fromkeys(others, (40,))}
    found = Sensitivity("bn-scale", Evaluation(images, 40), widths, correct)
    values = {at: torch.arange(width, 0, -1.0) for at, width in SPEC.width_of.items()}
    scores = by_sensitivity(random_model(SPEC), values, found)
    assert SPEC.width_of[layer] == 8
    expected = torch.tensor([1, 0.75, 0.5, 0.3, 0.1, 0.075, 0.05, 0.025], dtype=torch.float64)
    ties = with_blocks({layer: rank(values[layer].double())}, {})[layer] / (2 * images)
    torch.testing.assert_close(scores[layer], expected + ties)
    assert float(scores[others[0]][1:].max()) < 1 / (2 * images)
