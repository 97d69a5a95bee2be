"""Distillation: the gradient of its formula, and a phase that is otherwise the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rich.console import Console
from torch import Tensor

from bcnn_prune.data.batches import ImageSplit, read_split
from bcnn_prune.evaluation.accuracy import evaluate
from bcnn_prune.execution import Execution
from bcnn_prune.model.init import fresh
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.phase import RunContext, phase_key
from bcnn_prune.pruning.sparsity import ScaleL1
from bcnn_prune.records import Augmentation, Distillation, History, Recipe, SoftPruningSchedule
from bcnn_prune.spec import ModelSpec
from bcnn_prune.training.distil import distilled
from bcnn_prune.training.fit import fit
from experiments.run.console import TerminalCallback
from tests.helpers.small_sets import colours
from tests.training.test_fit import RECIPE, SPEC, Memory, Silent, new_model

HINTON = Distillation(temperature=4, weight=0.9)
DISTILLED = replace(RECIPE, epochs=3, distillation=HINTON, sparsity=1e-3, last_sparsity=1e-2, update="proximal")
logits = hnp.arrays(np.float64, (5, 4), elements=st.floats(-30, 30))


def probabilities(values: Any, temperature: float = 1) -> Any:
    powers = np.exp((values - values.max(1, keepdims=True)) / temperature)
    return powers / powers.sum(1, keepdims=True)


def loss_of(student: Any, teacher: Any, labels: Any, told: Distillation) -> tuple[float, Tensor]:
    """The loss, summed over the batch, and its gradient by the student's logits."""
    own = torch.tensor(student, requires_grad=True)
    on_labels = torch.nn.functional.cross_entropy(own, torch.tensor(labels), reduction="sum")
    loss = distilled(on_labels, own, torch.tensor(teacher), told)
    loss.backward()  # type: ignore[no-untyped-call]
    assert own.grad is not None
    return float(loss.detach()), own.grad


@given(logits, logits, st.floats(0.5, 20), st.floats(0, 1))
def test_loss_and_gradient_are_those_of_the_formula(
    student: Any, teacher: Any, temperature: float, weight: float
) -> None:
    labels = np.array([0, 1, 2, 3, 0])
    loss, gradient = loss_of(student, teacher, labels, Distillation(temperature, weight))
    own, told = (probabilities(values, temperature) for values in (student, teacher))
    hard = probabilities(student)
    expected = (1 - weight) * (hard - np.eye(4)[labels]) + weight * temperature * (own - told)
    np.testing.assert_allclose(gradient, expected, atol=1e-9)
    divergence = (told * (np.log(told) - np.log(own))).sum()
    entropy = -np.log(hard[np.arange(5), labels]).sum()
    assert loss == pytest.approx((1 - weight) * entropy + weight * temperature**2 * divergence, rel=1e-9, abs=1e-9)


@given(logits, st.floats(0.5, 20))
def test_a_teacher_that_says_the_same_has_nothing_to_teach(values: Any, temperature: float) -> None:
    loss, gradient = loss_of(values, values, np.zeros(5, dtype=np.int64), Distillation(temperature, 1))
    assert loss == pytest.approx(0, abs=1e-9)
    assert float(gradient.abs().max()) < 1e-12


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ImageSplit]:
    path = tmp_path_factory.mktemp("data") / "set.h5"
    colours(path, per_class=(24, 8, 8))
    return {split: read_split(path, split, torch.device("cpu")) for split in ("train", "val")}


def wider_teacher() -> BilinearCNN:
    return fresh(replace(SPEC, widths=(16,) * 8), torch.Generator().manual_seed(5))


def run(
    splits: dict[str, ImageSplit],
    recipe: Recipe,
    teacher: BilinearCNN | None,
    callback: Silent | None = None,
    checkpoints: Memory | None = None,
    autocast: torch.dtype | None = None,
    model: BilinearCNN | None = None,
) -> tuple[BilinearCNN, History]:
    model, execution = model or new_model(), Execution(autocast)
    history = fit(
        model,
        splits["train"],
        recipe,
        ScaleL1.of(model, recipe),
        lambda network: evaluate(network, splits["val"]),
        torch.Generator().manual_seed(7),
        callback or Silent(),
        checkpoints or Memory(),
        execution,
        teacher,
    )
    return model, history


def same(one: BilinearCNN, other: BilinearCNN) -> bool:
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


def test_a_teacher_of_no_weight_changes_no_bit(splits: dict[str, ImageSplit]) -> None:
    plain, history = run(splits, replace(DISTILLED, distillation=None), None)
    weightless, told = run(splits, replace(DISTILLED, distillation=Distillation(4, 0)), wider_teacher())
    assert same(plain, weightless)
    for before, after in zip(history.without_clock().epochs, told.without_clock().epochs, strict=True):
        assert before.label_loss is None
        assert after.label_loss == pytest.approx(after.loss)
        assert replace(after, label_loss=None) == before
    taught, history = run(splits, DISTILLED, wider_teacher())
    assert not same(plain, taught)
    assert all(stats.label_loss is not None and stats.label_loss != stats.loss for stats in history.epochs)


def test_a_distilled_phase_that_was_broken_off_ends_as_an_unbroken_one(splits: dict[str, ImageSplit]) -> None:
    model, history = run(splits, DISTILLED, wider_teacher())
    checkpoints = Memory()
    with pytest.raises(KeyboardInterrupt):
        run(splits, DISTILLED, wider_teacher(), Silent(stop_after=1), checkpoints)
    again, resumed = run(splits, DISTILLED, wider_teacher(), checkpoints=checkpoints)
    assert resumed.without_clock() == history.without_clock()
    assert same(model, again)


@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
def test_the_teacher_sees_the_images_of_the_student_and_stays_as_it_is(
    splits: dict[str, ImageSplit], autocast: torch.dtype | None
) -> None:
    seen: dict[str, list[Tensor]] = {"student": [], "teacher": []}
    student, teacher = new_model(), wider_teacher().train()

    def watch(network: torch.nn.Module, arguments: tuple[Tensor, ...]) -> None:
        if network.training:  # not when it is evaluated
            seen["student"].append(arguments[0])

    def watch_teacher(network: torch.nn.Module, arguments: tuple[Tensor, ...], maps: Tensor) -> None:
        assert not network.training
        assert not maps.requires_grad
        assert maps.dtype == (autocast or torch.float32)
        seen["teacher"].append(arguments[0])

    student.register_forward_pre_hook(watch)
    teacher.trunk.register_forward_hook(watch_teacher)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    run(splits, replace(DISTILLED, epochs=1), teacher, autocast=autocast, model=student)
    assert len(seen["student"]) == len(seen["teacher"]) == 9
    assert all(torch.equal(*pair) for pair in zip(*seen.values(), strict=True))
    assert teacher.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in teacher.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())


@pytest.mark.parametrize(
    ("distillation", "teacher", "message"),
    [
        (HINTON, None, "there is no teacher: give one"),
        (None, new_model(), "no distillation in the recipe: give it one"),
        (
            HINTON,
            fresh(replace(SPEC, classes=4), torch.Generator()),
            "the teacher tells 4 classes apart",
        ),
    ],
)
def test_a_teacher_and_a_recipe_that_do_not_fit_are_refused(
    distillation: Distillation | None, teacher: BilinearCNN | None, message: str, splits: dict[str, ImageSplit]
) -> None:
    with pytest.raises(ValueError, match=message):
        run(splits, replace(RECIPE, distillation=distillation), teacher)


@pytest.mark.parametrize(
    ("temperature", "weight", "message"),
    [(0, 0.5, "temperature of distillation is 0: take"), (1, 1.5, r"weight of distillation is 1\.5: take 0 to 1")],
)
def test_numbers_that_cannot_work_are_refused(temperature: float, weight: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Distillation(temperature, weight)


def counting(spec: ModelSpec) -> BilinearCNN:
    """Weights without any draw."""
    model = BilinearCNN(spec)
    for i, tensor in enumerate(model.state_dict().values()):
        tensor.copy_(torch.arange(tensor.numel()).reshape(tensor.shape) / 8 + i)
    return model


def test_a_phase_without_a_teacher_is_found_under_the_key_that_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys from before there was distillation."""
    monkeypatch.setattr(torch, "__version__", "2.9.0")
    monkeypatch.setattr("bcnn_prune.phase.METHOD", 1)
    images = ImageSplit(torch.zeros(1, 3, 16, 16), torch.zeros(1, dtype=torch.int64))
    callback = TerminalCallback(Console(quiet=True))
    context = RunContext(images, images, images, "0123", 1, Path(), callback)
    model = counting(ModelSpec("vgg11", (3,) * 8, classes=3))
    recipe = Recipe(2, 0.01, 4, "cosine", Augmentation(rotation=10.0), sparsity=0.01)
    assert phase_key(context, "fine-tune", model, recipe) == "880db57f99ee57e5"
    assert phase_key(context, "soft", model, recipe, SoftPruningSchedule(6, 1)) == "4fa582be237be881"

    teacher, other = (counting(ModelSpec("vgg11", (4,) * 8, classes=3)) for _ in range(2))
    next(other.parameters()).data[0] += 1
    taught, less = (replace(recipe, distillation=Distillation(4, weight)) for weight in (0.9, 0.5))
    key = phase_key(context, "fine-tune", model, taught, teacher=teacher)
    keys = [
        phase_key(context, "fine-tune", model, told, teacher=network)
        for told, network in ((taught, other), (less, teacher))
    ]
    assert len({key, *keys, "880db57f99ee57e5"}) == 4
    assert key == phase_key(context, "fine-tune", model, taught, teacher=counting(teacher.spec))
