"""Training: it learns, keeps the epoch it says, goes on bit for bit, and stops at a loss that is no number."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bcnn_prune.compression.sparse import GradualPruning
from bcnn_prune.data.augment import normalised
from bcnn_prune.data.batches import ImageSplit, read_split
from bcnn_prune.evaluation.accuracy import evaluate
from bcnn_prune.execution import Execution
from bcnn_prune.heads import REDUCTION
from bcnn_prune.model.init import fresh
from bcnn_prune.model.network import BilinearCNN, Trainable
from bcnn_prune.pruning.adaptive_l1 import l1_of
from bcnn_prune.pruning.soft import SoftPruning
from bcnn_prune.pruning.sparsity import ScaleL1
from bcnn_prune.records import (
    Augmentation,
    EpochStats,
    Evaluation,
    History,
    Recipe,
    SoftPruningSchedule,
    WeightPruningSchedule,
)
from bcnn_prune.spec import ModelSpec
from bcnn_prune.training.fit import Diverged, fit
from bcnn_prune.training.state import Penalty
from tests.helpers.features import bilinear_features
from tests.helpers.small_networks import telling_colours
from tests.helpers.small_sets import colours

SPEC = ModelSpec("vgg11", (12,) * 8, classes=3)
IMAGES = 72
RECIPE = Recipe(
    epochs=4,
    learning_rate=0.01,
    batch=8,
    schedule="cosine",
    augment=Augmentation(rotation=5.0, colour=0.1),
    classifier_rate=2.0,
    classifier_weight_decay=0.0,
)


class Silent:
    """Watches, and breaks off after an epoch if told to."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after, self.batches = stop_after, 0

    def on_batch(self, done: int, total: int) -> None:
        self.batches += 1

    def on_epoch(self, stats: EpochStats, epochs: int, model: Trainable) -> None:
        if stats.epoch == self.stop_after:
            raise KeyboardInterrupt


class NoPenalty:
    settled = 1

    def before_step(self) -> None: ...

    def after_step(self, learning_rate: float) -> None: ...

    def after_epoch(self, epoch: int) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Memory:
    """Keeps every state of a phase."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = []

    def load(self) -> dict[str, Any] | None:
        return self.states[-1] if self.states else None

    def save(self, state: dict[str, Any]) -> None:
        copied = {name: tensor.clone() for name, tensor in state["model"].items()}
        self.states.append({**state, "model": copied, "epochs": list(state["epochs"])})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "set.h5"
    colours(path, per_class=(24, 8, 8))
    return path


@pytest.fixture(scope="module")
def splits(data: Path) -> dict[str, ImageSplit]:
    return {split: read_split(data, split, torch.device("cpu")) for split in ("train", "val", "test")}


def new_model() -> BilinearCNN:
    return fresh(SPEC, torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)


def run(
    splits: dict[str, ImageSplit],
    recipe: Recipe = RECIPE,
    callback: Silent | None = None,
    checkpoints: Memory | None = None,
    penalty: Penalty | None = None,
    autocast: torch.dtype | None = None,
    model: BilinearCNN | None = None,
    validate: Callable[[BilinearCNN], Evaluation] | None = None,
) -> tuple[BilinearCNN, History]:
    """A new network, or `model`, trained on the set; the penalty is the recipe's and the val split judges, unless
    others are given."""
    model = model or new_model()
    history = fit(
        model,
        splits["train"],
        recipe,
        penalty or ScaleL1.of(model, recipe),
        validate or (lambda m: evaluate(m, splits["val"], Execution(autocast))),
        torch.Generator().manual_seed(7),
        callback or Silent(),
        checkpoints or Memory(),
        Execution(autocast),
    )
    return model, history


@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
def test_the_classifier_learns_what_the_trunk_tells_apart(
    data: Path, splits: dict[str, ImageSplit], autocast: torch.dtype | None
) -> None:
    model = telling_colours(SPEC, data).to(memory_format=torch.channels_last)
    for parameter in model.classifier.parameters():
        torch.nn.init.zeros_(parameter)
    assert evaluate(model, splits["test"]).accuracy == 1 / 3
    _, history = run(splits, model=model, autocast=autocast)
    assert evaluate(model, splits["test"]).accuracy == 1
    assert model.classifier.weight.dtype == torch.float32
    assert history.epochs[-1].loss < history.epochs[0].loss


def test_it_says_what_it_measured(splits: dict[str, ImageSplit]) -> None:
    callback = Silent()
    _, history = run(splits, callback=callback)
    assert [stats.epoch for stats in history.epochs] == [1, 2, 3, 4]
    assert callback.batches == 4 * 9
    rates = [stats.learning_rate for stats in history.epochs]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == RECIPE.learning_rate


@pytest.mark.parametrize(("settled", "kept"), [(1, 1), (2, 3), (3, 3), (4, 4), (9, 4)])
def test_no_epoch_is_kept_from_before_all_zeros_are_there(
    splits: dict[str, ImageSplit], settled: int, kept: int
) -> None:
    penalty, judged = NoPenalty(), iter(Evaluation(images=9, correct=correct) for correct in (8, 5, 6, 4))
    penalty.settled = settled
    _, history = run(splits, penalty=penalty, validate=lambda _: next(judged))
    assert history.kept_epoch == kept


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_kept_epoch_is_the_one_whose_weights_stay(splits: dict[str, ImageSplit], keep: str) -> None:
    """Of two that are as good, the first."""
    checkpoints, judged = Memory(), iter(Evaluation(images=9, correct=correct) for correct in (3, 5, 5, 4))
    recipe = replace(RECIPE, keep=keep)  # type: ignore[arg-type]
    model, history = run(splits, recipe, checkpoints=checkpoints, validate=lambda _: next(judged))
    assert history.kept_epoch == (2 if keep == "best" else 4)
    assert history.kept.val.correct == (5 if keep == "best" else 4)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, checkpoints.states[history.kept_epoch - 1]["model"][name]), name


def test_the_classifier_alone_learns_as_on_features_that_were_computed_once(splits: dict[str, ImageSplit]) -> None:
    fixed = {name: ImageSplit(normalised(split.images), split.labels) for name, split in splits.items()}
    recipe = replace(RECIPE, trains="classifier", epochs=2, keep="last")
    before = new_model()
    model, _ = run(fixed, recipe)
    for name, tensor in before.trunk.state_dict().items():  # BN statistics, too
        assert torch.equal(model.trunk.state_dict()[name], tensor), name
    assert all(parameter.requires_grad for parameter in model.parameters())

    linear, train = before.classifier, fixed["train"]
    with torch.no_grad():
        features = bilinear_features(before.eval().trunk(train.images))
    rate = recipe.learning_rate * recipe.classifier_rate
    optimizer = torch.optim.SGD(linear.parameters(), rate, momentum=recipe.momentum, nesterov=True)
    steps = recipe.epochs * 9
    for epoch, seed in enumerate(torch.randint(2**62, (2,), generator=torch.Generator().manual_seed(7)).tolist()):
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
        for i, batch in enumerate(order.split(recipe.batch)):
            optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * (9 * epoch + i) / steps)) / 2
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(linear(features[batch]), train.labels[batch]).backward()
            optimizer.step()
    torch.testing.assert_close(model.classifier.weight, linear.weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.classifier.bias, linear.bias, rtol=1e-4, atol=1e-5)


def test_a_reduction_is_trained_with_the_classifier(splits: dict[str, ImageSplit]) -> None:
    """It comes with fresh weights: on a frozen one the classifier would learn what the next phase undoes."""
    spec = ModelSpec.of("vgg11", 3, 0.05, "reduced", reduce_to=4)
    before = fresh(spec, torch.Generator().manual_seed(1))
    model, _ = run(splits, replace(RECIPE, trains="classifier", epochs=1), model=copy.deepcopy(before))
    changed = {
        name for name, tensor in before.state_dict().items() if not torch.equal(model.state_dict()[name], tensor)
    }
    trained = {f"trunk.{name}" for name in before.trunk.state_dict() if name.partition(".")[0] in REDUCTION}
    assert len(trained) == 6  # a convolution's weights; γ, β, mean, variance and batches of its BN
    assert changed == trained | {"classifier.weight", "classifier.bias"}


def test_the_classifier_alone_has_no_scales_to_penalise() -> None:
    with pytest.raises(ValueError, match="trains the classifier alone has no L1"):
        replace(RECIPE, trains="classifier", sparsity=1e-3)


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
@pytest.mark.parametrize("after", [1, 3])
def test_a_run_that_was_broken_off_ends_as_an_unbroken_one(
    splits: dict[str, ImageSplit], schedule: str, after: int
) -> None:
    recipe = replace(RECIPE, schedule=schedule, patience=1, sparsity=1e-3, last_sparsity=1e-2, update="proximal")  # type: ignore[arg-type]
    model, history = run(splits, recipe)
    checkpoints = Memory()
    with pytest.raises(KeyboardInterrupt):
        run(splits, recipe, Silent(stop_after=after), checkpoints)
    torch.manual_seed(after)  # the global generator has no say
    again, resumed = run(splits, recipe, checkpoints=checkpoints)
    assert resumed.without_clock() == history.without_clock()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_a_plateau_lowers_the_rate_to_its_floor(splits: dict[str, ImageSplit]) -> None:
    recipe = replace(RECIPE, schedule="plateau", patience=0, decay=0.1, learning_rate=1e-4, epochs=5)
    _, history = run(splits, recipe, validate=lambda _: Evaluation(images=9, correct=3))
    rates = [stats.learning_rate for stats in history.epochs]
    assert recipe.lowest_rate == 1e-6
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-6, 1e-6])


def test_a_plateau_waits_while_accuracy_rises(splits: dict[str, ImageSplit]) -> None:
    recipe = replace(RECIPE, schedule="plateau", patience=0, decay=0.1, learning_rate=1e-4, epochs=4)
    rising = iter(Evaluation(images=9, correct=correct) for correct in (3, 5, 6, 7))
    _, history = run(splits, recipe, validate=lambda _: next(rising))
    assert [stats.learning_rate for stats in history.epochs] == pytest.approx([1e-4] * 4)


PENALTIES: dict[str, Callable[[BilinearCNN, Recipe], Penalty]] = {
    "adaptive": lambda model, recipe: l1_of(model, replace(recipe, sparsity_share=0.5), IMAGES),
    "gradual": lambda model, recipe: GradualPruning(
        model, ScaleL1.of(model, recipe), WeightPruningSchedule(0.5, 0.4), recipe, IMAGES
    ),
    "soft": lambda model, recipe: SoftPruning(
        model, ScaleL1.of(model, recipe), SoftPruningSchedule(20, 1), lambda _: Evaluation(9, 5)
    ),
}


@pytest.mark.parametrize("kind", PENALTIES)
@pytest.mark.parametrize("after", [1, 3])
def test_a_penalty_goes_on_with_its_state(splits: dict[str, ImageSplit], kind: str, after: int) -> None:
    recipe = replace(RECIPE, sparsity=1e-3, last_sparsity=1e-2, update="proximal")

    def trained(callback: Silent | None = None, checkpoints: Memory | None = None) -> tuple[BilinearCNN, History]:
        model = new_model()
        penalty = PENALTIES[kind](model, recipe)
        return run(splits, recipe, callback, checkpoints, penalty, model=model)

    model, history = trained()
    checkpoints = Memory()
    with pytest.raises(KeyboardInterrupt):
        trained(Silent(stop_after=after), checkpoints)
    again, resumed = trained(checkpoints=checkpoints)
    assert resumed.without_clock() == history.without_clock()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_the_kept_epoch_may_lie_before_the_break(splits: dict[str, ImageSplit]) -> None:
    def judged(start: int = 0) -> Callable[[BilinearCNN], Evaluation]:
        counted = iter(Evaluation(images=9, correct=correct) for correct in (3, 8, 5, 4)[start:])
        return lambda _: next(counted)

    model, history = run(splits, validate=judged())
    checkpoints = Memory()
    with pytest.raises(KeyboardInterrupt):
        run(splits, callback=Silent(stop_after=3), checkpoints=checkpoints, validate=judged())
    again, resumed = run(splits, checkpoints=checkpoints, validate=judged(3))
    assert history.kept_epoch == resumed.kept_epoch == 2
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


@pytest.mark.parametrize("update", ["subgradient", "proximal"])
@pytest.mark.parametrize("kind", ["soft", "gradual"])
def test_what_sets_to_zero_does_to_scales_what_l1_does(kind: str, update: str) -> None:
    recipe = replace(RECIPE, sparsity=0.01, last_sparsity=0.05, update=update)  # type: ignore[arg-type]
    plain, other = new_model(), new_model()
    for model, penalty in ((plain, ScaleL1.of(plain, recipe)), (other, PENALTIES[kind](other, recipe))):
        for norm in model.norms.values():
            norm.weight.grad = torch.zeros_like(norm.weight)
        penalty.before_step()
        penalty.after_step(0.1)
    for one, two in zip(plain.norms.values(), other.norms.values(), strict=True):
        assert torch.equal(one.weight, two.weight)
        assert one.weight.grad is not None
        assert two.weight.grad is not None
        assert torch.equal(one.weight.grad, two.weight.grad)


def test_the_sum_of_learning_rates_is_what_the_steps_took(splits: dict[str, ImageSplit]) -> None:
    taken = []

    class Spy(NoPenalty):
        def after_step(self, learning_rate: float) -> None:
            taken.append(learning_rate)

    run(splits, penalty=Spy())
    assert sum(taken) == pytest.approx(RECIPE.learning_rate_sum(len(splits["train"])))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_with_epoch_and_batch(splits: dict[str, ImageSplit], bad: float) -> None:
    class Poison(NoPenalty):
        steps = 0

        def after_step(self, learning_rate: float) -> None:
            self.steps += 1
            if self.steps == 9 + 4:  # the fifth batch of the second epoch is the first to see it
                torch.nn.init.constant_(model.classifier.bias, bad)

    model, checkpoints = new_model(), Memory()
    with pytest.raises(Diverged, match=r"epoch 2, batch 5 of 9: try a learning rate below"):
        run(splits, checkpoints=checkpoints, penalty=Poison(), model=model)
    assert len(checkpoints.states) == 1
    assert all(tensor.isfinite().all() for tensor in checkpoints.states[0]["model"].values())
