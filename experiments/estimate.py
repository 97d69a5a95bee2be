"""What a run will cost, measured on its own first batches before it starts."""

import copy
import time

import torch
import torch.nn.functional as F

from bcnn_prune.data.augment import augmented
from bcnn_prune.evaluation.accuracy import evaluate
from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.protocol import Bench
from bcnn_prune.records import Recipe
from experiments.recipes import Recipes


def duration(bench: Bench, model: BilinearCNN, recipes: Recipes, control: bool) -> str:
    """The training time of all phases in words: two timed steps and one timed evaluation of a copy, multiplied out."""
    phases = [recipes.dense, recipes.sparse, recipes.fine_tune] + [recipes.fine_tune] * control
    step = {recipe.batch: _seconds_a_step(bench, model, recipe) for recipe in phases}
    sample = bench.val.take(16)
    model = copy.deepcopy(model).to(memory_format=torch.channels_last)  # as in training
    evaluate(model, sample, bench.autocast)
    start = time.perf_counter()
    evaluate(model, sample, bench.autocast)
    validation = (time.perf_counter() - start) * len(bench.val) / len(sample)
    steps = {recipe: -(-len(bench.train) // recipe.batch) for recipe in phases}
    seconds = sum(recipe.epochs * (steps[recipe] * step[recipe.batch] + validation) for recipe in phases)
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def _seconds_a_step(bench: Bench, model: BilinearCNN, recipe: Recipe) -> float:
    trial = copy.deepcopy(model).to(memory_format=torch.channels_last).train()
    draws = torch.Generator().manual_seed(0)
    times = []
    for _ in range(3):
        part = bench.train.take(recipe.batch, draws)
        start = time.perf_counter()
        with torch.autocast(trial.device.type, bench.autocast, enabled=bench.autocast is not None):
            loss = F.cross_entropy(trial(augmented(part.images, recipe.augment, draws)), part.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        times.append(time.perf_counter() - start)
    return min(times[1:])  # the first one also sets up
