"""Soft pruning: so many channels at zero after each epoch, free to come back, and the same after a break."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from torch.optim import SGD

from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.pruning.ranking import keep_highest, min_widths
from bcnn_prune.pruning.rules import ranked_by
from bcnn_prune.pruning.soft import SoftPruning, not_zeroed
from bcnn_prune.pruning.sparsity import ScaleL1, scales
from bcnn_prune.records import Evaluation, SoftPruningSchedule
from tests.helpers.strategies import TINY, random_model

CHANNELS = TINY.channels


def at_zero(model: BilinearCNN) -> set[tuple[str, int]]:
    return {
        (layer, channel)
        for layer, norm in model.norms.items()
        for channel in range(len(norm.weight))
        if norm.weight[channel] == 0 and norm.bias[channel] == 0
    }


def soft(
    model: BilinearCNN, validate: Callable[[BilinearCNN], Evaluation] | None = None, **settings: Any
) -> SoftPruning:
    softening = SoftPruningSchedule(**{"drop": 10, "floor": 1, **settings})
    return SoftPruning(model, ScaleL1((), "proximal", 0.9), softening, validate or (lambda _: Evaluation(4, 2)))


def train(model: BilinearCNN, penalty: SoftPruning, generator: torch.Generator) -> None:
    """A step that moves every parameter, as momentum does."""
    penalty.before_step()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    penalty.after_step(0.1)


def test_after_an_epoch_the_lowest_channels_are_at_zero_and_no_other_weight_has_changed() -> None:
    model = random_model(TINY)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plan = keep_highest(scales(model), 10, 1)
    zeroing = soft(model).after_epoch(1)
    assert zeroing is not None
    assert zeroing.zeroed == len(at_zero(model)) == 10
    assert at_zero(model) == {(layer, i) for layer, gone in plan.dropped(TINY).items() for i in gone}
    for name, tensor in model.state_dict().items():
        if ".bn" not in name or "running" in name:
            assert torch.equal(tensor, before[name]), name


def test_what_was_zeroed_comes_back_and_others_go() -> None:
    model, generator = random_model(TINY), torch.Generator().manual_seed(0)
    penalty, sets = soft(model), list[set[tuple[str, int]]]()
    for epoch in range(1, 4):
        train(model, penalty, generator)
        assert not at_zero(model)
        zeroing = penalty.after_epoch(epoch)
        assert zeroing is not None
        sets.append(at_zero(model))
        if epoch == 1:
            assert zeroing.jaccard is None
        else:
            assert zeroing.jaccard == pytest.approx(len(sets[-1] & sets[-2]) / len(sets[-1] | sets[-2]))
    assert sets[0] != sets[1]


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("broken_after", [1, 2, 3])
def test_after_a_break_the_moved_set_is_counted_as_without_one(every: int, broken_after: int) -> None:
    def overlaps(broken: bool) -> list[float | None]:
        model, generator = random_model(TINY), torch.Generator().manual_seed(0)
        penalty, overlaps = soft(model, every=every), list[float | None]()
        for epoch in range(1, 5):
            train(model, penalty, generator)
            if zeroing := penalty.after_epoch(epoch):
                overlaps.append(zeroing.jaccard)
            if broken and epoch == broken_after:
                state = penalty.state_dict()
                penalty = soft(model, every=every)
                penalty.load_state_dict(state)
        return overlaps

    unbroken = overlaps(broken=False)
    assert overlaps(broken=True) == unbroken
    assert unbroken[0] is None
    assert len(unbroken) == 4 // every
    assert None not in unbroken[1:]


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_only_momentum_brings_a_zeroed_channel_back(momentum: float) -> None:
    torch.manual_seed(0)
    model = random_model(TINY).float().train()
    optimizer = SGD(model.parameters(), 0.01, momentum=momentum, nesterov=momentum > 0, weight_decay=1e-3)
    penalty = soft(model)

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(model(torch.randn(6, 3, 32, 32)), torch.arange(6) % TINY.classes).backward()
        penalty.before_step()
        optimizer.step()
        penalty.after_step(0.01)

    for _ in range(3):
        step()
    penalty.after_epoch(1)
    zeroed = at_zero(model)
    for _ in range(3):
        step()
    assert at_zero(model) == (set() if momentum else zeroed)


@pytest.mark.parametrize(
    ("settings", "zeroed"),
    [
        ({"drop": 12}, [12, 12, 12, 12]),
        ({"drop": 12, "ramp": 3}, [4, 8, 12, 12]),
        ({"drop": 12, "every": 2}, [None, 12, None, 12]),
        ({"drop": 12, "every": 2, "ramp": 4}, [None, 6, None, 12]),
        ({"drop": 0}, [0, 0, 0, 0]),
    ],
)
def test_when_and_how_many(settings: dict[str, int], zeroed: list[int | None]) -> None:
    model, generator, counts = random_model(TINY), torch.Generator().manual_seed(0), []
    penalty = soft(model, **settings)
    for epoch in range(1, 5):
        train(model, penalty, generator)
        zeroing = penalty.after_epoch(epoch)
        counts.append(None if zeroing is None else zeroing.zeroed)
        assert len(at_zero(model)) == (counts[-1] or 0)
    assert counts == zeroed
    assert zeroed.index(settings["drop"]) + 1 == penalty.settled


def test_it_is_counted_before_and_after() -> None:
    def count(model: BilinearCNN) -> Evaluation:
        return Evaluation(CHANNELS, CHANNELS - len(at_zero(model)))

    zeroing = soft(random_model(TINY), count).after_epoch(1)
    assert zeroing is not None
    assert (zeroing.before.correct, zeroing.after.correct) == (CHANNELS, CHANNELS - 10)


@pytest.mark.parametrize("settings", [{"every": 0}, {"ramp": 0}])
def test_a_rhythm_that_is_none_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(settings))} is 0: take 1 or more"):
        soft(random_model(TINY), **settings)


@given(st.sampled_from(["mean", "lamp", "rank"]), st.integers(0, 8))
def test_zeroing_goes_by_the_rule_and_spares_the_share(rule: str, drop: int) -> None:
    model = random_model(TINY)
    plan = not_zeroed(model, SoftPruningSchedule(10, 1, rule=rule, min_share=0.5), drop)
    fewest = min_widths(TINY.width_of, 1, 0.5)
    assert plan == keep_highest(ranked_by(scales(model), rule), drop, fewest)
    assert all(len(kept) >= fewest[layer] for layer, kept in plan.kept.items())
