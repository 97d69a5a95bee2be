"""A training phase of a run, cached: a finished phase is read from disk, an interrupted one resumes."""

import copy
import hashlib
import json
import zlib
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import cattrs
import torch
from jaxtyping import Bool
from torch import Tensor

from bcnn_prune.compression.sparse import GradualPruning, magnitude_pruned
from bcnn_prune.data.batches import Split
from bcnn_prune.evaluation.accuracy import confusion_matrix, correct_images, evaluate
from bcnn_prune.execution import PLAIN, Execution
from bcnn_prune.files import folder_lock
from bcnn_prune.layers import Dropout
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.pruning.adaptive_l1 import l1_of
from bcnn_prune.pruning.soft import SoftPruning, Validate, not_zeroed
from bcnn_prune.pruning.sparsity import ScaleL1
from bcnn_prune.pruning.surgery import silenced
from bcnn_prune.records import ConfusionMatrix, Evaluation, History, Recipe, SoftPruningSchedule, WeightPruningSchedule
from bcnn_prune.records.json_file import CONVERTER
from bcnn_prune.training.fit import TrainingCallback, fit
from bcnn_prune.training.resume import EpochCheckpoints, PhaseCache
from bcnn_prune.training.state import Penalty

Zeroing = SoftPruningSchedule | WeightPruningSchedule
"""What goes to zero while a phase trains: channels, or single weights."""
METHOD = 1  # raised with every change that makes the same phase end otherwise: finished ones are then trained anew


@runtime_checkable
class RunCallback(TrainingCallback, Protocol):
    """A TrainingCallback that is also called as a phase starts, is found in the cache, or waits for another run."""

    def on_phase_start(self, name: str, recipe: Recipe, folder: Path) -> None: ...

    def on_cache_hit(self, name: str, history: History, folder: Path) -> None: ...

    def on_wait(self, folder: Path) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class RunContext:
    """Values that all phases of a run share: images, seed, cache folder, callback, and the way they are computed."""

    train: Split
    val: Split
    test: Split
    data_digest: str
    seed: int
    folder: Path
    """Folder of the phases' checkpoints and results."""
    callback: RunCallback
    execution: Execution = PLAIN

    def evaluate_test(self, model: BilinearCNN) -> ConfusionMatrix:
        """Test counts in the weights' own number format."""
        return confusion_matrix(model, self.test, replace(self.execution, autocast=None))

    def correct_on_test(self, model: BilinearCNN) -> Bool[Tensor, " images"]:
        """The test images that `evaluate_test` counts as correct, in their order."""
        return correct_images(model, self.test, replace(self.execution, autocast=None))


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with the recipe that trained it, its training history and its test counts."""

    model: BilinearCNN
    recipe: Recipe
    history: History
    confusion: ConfusionMatrix

    @property
    def test(self) -> Evaluation:
        return self.confusion.evaluation


def train_phase(
    context: RunContext,
    name: str,
    model: BilinearCNN,
    recipe: Recipe,
    soft: Zeroing | None = None,
    teacher: BilinearCNN | None = None,
) -> TrainedNetwork:
    """Train a copy of `model` by `recipe`; `teacher` is the network that a recipe with distillation learns from. Both
    are untouched.

    A phase is cached under a hash of everything that determines its result: starting weights, recipe, teacher, data,
    seed, number format, torch. An interrupted phase resumes; concurrent runs wait on a lock. Of several ranks only
    rank 0 reads and writes. With `soft`, channels or weights are zeroed during training, and an epoch is scored with
    all of them zero."""
    folder = context.folder / f"{name}-{phase_key(context, name, model, recipe, soft, teacher)}"
    cache, checkpoints, ranks = PhaseCache(folder), EpochCheckpoints(folder), context.execution.ranks
    model = copy.deepcopy(model).to(memory_format=torch.channels_last)
    with ExitStack() as stack:
        ranks.on_rank_zero(lambda: stack.enter_context(folder_lock(folder, lambda: context.callback.on_wait(folder))))
        if cached := ranks.on_rank_zero(cache.load):
            weights, history = cached
            model.load_state_dict(weights)
            context.callback.on_cache_hit(name, history, folder)
        else:
            context.callback.on_phase_start(name, recipe, folder)
            history = _fit(context, name, model, recipe, soft, teacher, checkpoints)
            ranks.on_rank_zero(lambda: cache.save(model, history))
        ranks.on_rank_zero(checkpoints.remove)  # also after a hit: a kill may have come between the result and this
        if (test := ranks.on_rank_zero(cache.test)) is None:
            test = context.evaluate_test(model)
            ranks.on_rank_zero(partial(cache.save_test, test))
    return TrainedNetwork(model, recipe, history, test)


def _fit(
    context: RunContext,
    name: str,
    model: BilinearCNN,
    recipe: Recipe,
    soft: Zeroing | None,
    teacher: BilinearCNN | None,
    checkpoints: EpochCheckpoints,
) -> History:
    def validate(net: BilinearCNN) -> Evaluation:
        return evaluate(net, context.val, context.execution)

    generator = torch.Generator().manual_seed(zlib.crc32(f"{name} {context.seed}".encode()))
    try:
        return fit(
            model,
            context.train,
            recipe,
            _penalty(context, model, recipe, soft, validate),
            lambda net: validate(_zeroed(net, soft)),
            generator,
            context.callback,
            checkpoints,
            context.execution,
            teacher,
        )
    finally:
        context.callback.close()


def _penalty(
    context: RunContext, model: BilinearCNN, recipe: Recipe, soft: Zeroing | None, validate: Validate
) -> Penalty:
    match soft:
        case WeightPruningSchedule():
            return GradualPruning(model, ScaleL1.of(model, recipe), soft, recipe, len(context.train))
        case SoftPruningSchedule():
            return SoftPruning(model, ScaleL1.of(model, recipe), soft, validate)
    return l1_of(model, recipe, len(context.train))


def _zeroed(model: BilinearCNN, soft: Zeroing | None) -> BilinearCNN:
    """`model` with all at zero that is in the end."""
    match soft:
        case WeightPruningSchedule():
            return magnitude_pruned(model, soft.share, soft.rule)
        case SoftPruningSchedule():
            return silenced(model, not_zeroed(model, soft, soft.drop))
    return model


def phase_key(
    context: RunContext,
    name: str,
    model: BilinearCNN,
    recipe: Recipe,
    soft: Zeroing | None = None,
    teacher: BilinearCNN | None = None,
) -> str:
    """A hash of everything that determines the result of a phase."""
    execution = context.execution
    inputs = [
        METHOD,
        torch.__version__,
        name,
        _hashed(recipe, "trains", "distillation", "sparsity_share", "scale_weight_decay"),
        CONVERTER.unstructure(model.spec),
    ]
    if any(isinstance(step.layer, Dropout) for step in model.steps):
        inputs.append("dropout of single elements, by the seed")  # phases from before drew whole channels, unseeded
    inputs.append(soft and _hashed(soft, "rule", "min_share"))
    if isinstance(soft, WeightPruningSchedule) or (soft and (soft.every, soft.ramp) != (1, 1)):
        inputs.append("an epoch after the ramp")  # phases from before may have kept one with fewer zeros
    inputs += [context.data_digest, context.seed]
    if execution.ranks.world > 1:  # sums in another order, and on CPUs BN over a part of the batch
        inputs.append(execution.ranks.world)
    if teacher is not None:
        inputs.append([CONVERTER.unstructure(teacher.spec), _with_tensors(hashlib.sha256(), teacher).hexdigest()])
    digest = hashlib.sha256(json.dumps([*inputs, str(execution.autocast), str(context.train.device.type)]).encode())
    return _with_tensors(digest, model).hexdigest()[:16]


def _with_tensors(digest: "hashlib._Hash", model: BilinearCNN) -> "hashlib._Hash":
    for tensor in model.state_dict().values():
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest


def _hashed(value: Recipe | Zeroing, *newer: str) -> dict[str, object]:
    """The fields for a phase's hash, the `newer` ones only where they are not the default: phases from before there
    were any are found."""
    defaults = {field.name: field.default for field in fields(value)}
    told: dict[str, object] = cattrs.unstructure(value)
    return {name: entry for name, entry in told.items() if name not in newer or entry != defaults[name]}
