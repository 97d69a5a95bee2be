"""One training phase: SGD with Nesterov momentum, a learning-rate schedule, and the epoch that is kept.

Knows nothing of pruning: what a phase does to BN scales comes in as a `Penalty`."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Protocol, TypeVar, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bcnn_prune.data.augment import augmented
from bcnn_prune.data.batches import Split
from bcnn_prune.distributed import ProcessGroup
from bcnn_prune.execution import PLAIN, Execution
from bcnn_prune.heads import REDUCTION
from bcnn_prune.model.network import Trainable, modes_kept
from bcnn_prune.records import NEAR_ZERO, Distillation, EpochStats, Evaluation, History, Recipe
from bcnn_prune.training.compiled import BatchLosses, compiled
from bcnn_prune.training.distil import distilled
from bcnn_prune.training.state import Penalty, StateDict, TrainingState

Model = TypeVar("Model", bound=Trainable)


@runtime_checkable
class TrainingCallback(Protocol):
    """Called after every batch and every epoch."""

    def on_batch(self, done: int, total: int) -> None: ...

    def on_epoch(self, stats: EpochStats, epochs: int, model: Trainable) -> None: ...


@runtime_checkable
class CheckpointStore(Protocol):
    """Stores checkpoints of an unfinished phase."""

    def load(self) -> StateDict | None: ...

    def save(self, state: StateDict) -> None: ...


class NoCheckpoints:
    """A CheckpointStore that keeps nothing: an interrupted phase starts anew."""

    def load(self) -> None:
        return None

    def save(self, state: StateDict) -> None: ...


class Diverged(RuntimeError):
    """The loss is NaN or infinite."""


def fit(
    model: Model,
    train: Split,
    recipe: Recipe,
    penalty: Penalty,
    validate: Callable[[Model], Evaluation],
    generator: torch.Generator,
    callback: TrainingCallback,
    checkpoints: CheckpointStore,
    execution: Execution = PLAIN,
    teacher: Trainable | None = None,
) -> History:
    """Train `model` in place by `recipe` and leave it with the weights of the kept epoch, in the modes that it had.

    `validate` scores the val split after each epoch. Each epoch draws images and dropout from a seed of its own, made
    here by `generator`, so a phase that resumes from `checkpoints` goes on as an uninterrupted one. Raises Diverged
    where the loss is not finite; `checkpoints` keeps the last good epoch. A `teacher`, for distillation, is untouched.

    Several ranks share each batch of the recipe and step by its mean gradient: they see the images that one would, and
    end with equal weights, bit for bit. Rank 0 alone loads and saves. At an epoch's end BN statistics are averaged."""
    ranks = execution.ranks
    seeds = torch.randint(2**62, (recipe.epochs,), generator=generator).tolist()
    with _tidied(model), _frozen_trunk(model) if recipe.trains == "classifier" else nullcontext():
        net, whole_batch = ranks.wrap_ddp(model), compiled(batch_losses, model, recipe, train, ranks)
        state = TrainingState.start(model, recipe, penalty, len(train), teacher)
        if saved := ranks.on_rank_zero(checkpoints.load):
            state.load_state_dict(saved)
        for epoch in range(len(state.epochs) + 1, recipe.epochs + 1):
            start, rate = time.perf_counter(), state.learning_rate
            draws = torch.Generator().manual_seed(seeds[epoch - 1])
            with _drawn_from(seeds[epoch - 1] + ranks.rank, train.device):
                loss, label_loss, counted = train_one_epoch(net, train, state, draws, callback, execution, whole_batch)
            _average_statistics(model, ranks)
            event, val = penalty.after_epoch(epoch), validate(model)
            seconds, zero = time.perf_counter() - start, _scales_at_zero(model)
            state.after_epoch(EpochStats(epoch, rate, loss, counted, val, zero, seconds, event, label_loss))
            ranks.on_rank_zero(lambda: checkpoints.save(state.state_dict()))
            callback.on_epoch(state.epochs[-1], recipe.epochs, model)
    model.load_state_dict(state.kept)
    return state.history


@contextmanager
def _tidied(model: Trainable) -> Iterator[None]:
    """At the end each module is in the mode that it was in, training or evaluation, and no parameter has a gradient."""
    with modes_kept(model):
        yield
    model.zero_grad()


@contextmanager
def _drawn_from(seed: int, device: torch.device) -> Iterator[None]:
    """Dropout draws from this seed, and the global generators go on afterwards as if nothing had been drawn."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def _frozen_trunk(model: Trainable) -> Iterator[None]:
    """The trunk, but for a head's reduction, takes no gradient, so that autograd keeps nothing of its forward pass.
    Before DDP wraps the model: it would wait for gradients that never come."""
    layers = [layer for name, layer in model.trunk.named_children() if name not in REDUCTION]
    before = [(parameter, parameter.requires_grad) for layer in layers for parameter in layer.parameters()]
    for parameter, _ in before:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, takes in before:
            parameter.requires_grad_(takes)


def train_one_epoch(
    net: nn.Module,
    train: Split,
    state: TrainingState,
    draws: torch.Generator,
    callback: TrainingCallback,
    execution: Execution,
    whole_batch: BatchLosses | None = None,
) -> tuple[float, float | None, Evaluation]:
    """Take a step for each batch, by `whole_batch` where it is given and no image lacks; return the mean loss, that on
    labels alone where there is a teacher, and the counts, over the images as augmented."""
    recipe, ranks = state.recipe, execution.ranks
    epoch, rate = len(state.epochs) + 1, state.learning_rate
    steps = recipe.steps_per_epoch(len(train))
    losses, label_losses, correct = [], [], torch.zeros((), dtype=torch.int64, device=train.device)
    _set_modes(net, recipe)
    for done, (images, labels) in enumerate(train.batches(recipe.batch, draws, ranks)):
        shard = ranks.share(min(recipe.batch, len(train) - done * recipe.batch))
        x = augmented(images, recipe.augment, draws, shard).contiguous(memory_format=torch.channels_last)
        # The gradient that is averaged over ranks must be that of the mean over the batch, whatever each has of it.
        # A rank without an image takes part with a loss and a gradient of zero, and BN leaves its statistics.
        mean_share = shard.of / ranks.world
        compute = whole_batch if whole_batch and len(images) == recipe.batch else batch_losses
        state.optimizer.zero_grad()
        logits, label_loss, total = compute(net, x, labels, execution.autocast, state.teacher, recipe.distillation)
        loss = total / mean_share
        _take_step(state, loss)
        losses.append(loss.detach() * mean_share)
        if state.teacher:
            label_losses.append(label_loss.detach().clone())
        correct += (logits.argmax(1) == labels).sum()
        callback.on_batch(done + 1, steps)
    mean_loss = _mean_loss(ranks.sum(torch.stack(losses)), len(train), epoch, rate)
    on_labels = float(ranks.sum(torch.stack(label_losses)).sum()) / len(train) if state.teacher else None
    return mean_loss, on_labels, Evaluation(images=len(train), correct=int(ranks.sum(correct)))


def batch_losses(
    net: nn.Module,
    x: Float[Tensor, "batch 3 h w"],
    labels: Int64[Tensor, " batch"],
    autocast: torch.dtype | None,
    teacher: nn.Module | None = None,
    distillation: Distillation | None = None,
) -> tuple[Float[Tensor, "batch classes"], Float[Tensor, ""], Float[Tensor, ""]]:
    """The logits, the cross-entropy, and the loss that is trained on, with a teacher the distilled one; both losses are
    sums over the batch."""
    with torch.autocast(x.device.type, autocast) if autocast else nullcontext():
        logits = net(x)
        taught = teacher(x) if teacher else None
    label_loss = F.cross_entropy(logits, labels, reduction="sum")
    if taught is None or distillation is None:
        return logits, label_loss, label_loss
    return logits, label_loss, distilled(label_loss, logits, taught, distillation)


def _set_modes(net: nn.Module, recipe: Recipe) -> None:
    net.train()
    if recipe.trains == "classifier":
        for name, module in net.named_modules():  # those of `net`: DDP trains a twin of the model
            if isinstance(module, _BatchNorm) and name.rpartition(".")[2] not in REDUCTION:
                module.eval()


def _take_step(state: TrainingState, loss: Float[Tensor, ""]) -> None:
    loss.backward()  # type: ignore[no-untyped-call]
    state.penalty.before_step()
    state.optimizer.step()
    state.penalty.after_step(state.learning_rate)
    state.after_step()


def _mean_loss(losses: Float[Tensor, " batches"], images: int, epoch: int, rate: float) -> float:
    # Checked once per epoch: asking after every batch would make a GPU wait.
    bad = (~losses.isfinite()).nonzero().flatten().tolist()
    if bad:
        raise Diverged(
            f"the loss is {float(losses[bad[0]])} in epoch {epoch}, batch {bad[0] + 1} of {len(losses)}: "
            f"try a learning rate below {rate:g}, or fp32 instead of bf16"
        )
    return float(losses.sum()) / images


@torch.no_grad()
def _average_statistics(model: Trainable, ranks: ProcessGroup) -> None:
    for statistic in model.buffers():
        if statistic.is_floating_point():  # all but the counter of batches, in which ranks agree
            statistic.copy_(ranks.sum(statistic) / ranks.world)


def _scales_at_zero(model: Trainable) -> float:
    scales = [norm.weight.detach().abs() for norm in model.norms.values()]
    return float((torch.cat(scales) < NEAR_ZERO).float().mean()) if scales else 0.0
