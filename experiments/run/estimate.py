"""Training time of a run, estimated from its own first batches before it starts."""

import copy
import time
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from bcnn_prune.data.augment import augmented
from bcnn_prune.evaluation.accuracy import evaluate
from bcnn_prune.execution import Execution
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.phase import RunContext
from bcnn_prune.records import Recipe


def seconds(context: RunContext, model: BilinearCNN, phases: Sequence[Recipe]) -> float:
    """The training time of all phases: two timed steps and one timed evaluation of a copy, multiplied out."""
    step = {_cost(recipe): _seconds_a_step(context, model, recipe) for recipe in phases}
    sample = context.val.take(16)
    model = copy.deepcopy(model).to(memory_format=torch.channels_last)  # as in training
    here = Execution(context.execution.autocast)
    evaluate(model, sample, here)
    start = time.perf_counter()
    evaluate(model, sample, here)
    validation = (time.perf_counter() - start) * len(context.val) / len(sample) / context.execution.ranks.world
    steps = {recipe: recipe.steps_per_epoch(len(context.train)) for recipe in phases}
    return sum(recipe.epochs * (steps[recipe] * step[_cost(recipe)] + validation) for recipe in phases)


def in_words(seconds: float) -> str:
    """A duration as one says it: 40 seconds, 12 minutes, 3.5 hours, 2.1 days."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def _cost(recipe: Recipe) -> tuple[int, bool]:
    """The values of a recipe that decide the time of a step."""
    return recipe.batch, recipe.distillation is not None


def _seconds_a_step(context: RunContext, model: BilinearCNN, recipe: Recipe) -> float:
    trial = copy.deepcopy(model).to(memory_format=torch.channels_last).train()
    draws, share = torch.Generator().manual_seed(0), context.execution.ranks.share(recipe.batch)
    teacher = copy.deepcopy(trial).eval().requires_grad_(False)
    times, autocast = [], context.execution.autocast
    for _ in range(3):
        part = context.train.take(share.stop - share.start, draws)
        start = time.perf_counter()
        with torch.autocast(trial.device.type, autocast, enabled=autocast is not None):
            images = augmented(part.images, recipe.augment, draws)
            loss = F.cross_entropy(trial(images), part.labels)
            if recipe.distillation:
                teacher(images)
        loss.backward()  # type: ignore[no-untyped-call]
        times.append(time.perf_counter() - start)
    return min(times[1:])  # the first one also sets up
