"""One training phase: SGD with Nesterov momentum, a schedule, and the epoch that is kept.

Knows nothing of pruning: what a phase does to BN scales comes in as a `Penalty`."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any, Protocol, runtime_checkable

import cattrs
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from bcnn_prune.data.augment import augmented
from bcnn_prune.data.batches import Split
from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.ranks import ALONE, Ranks
from bcnn_prune.records import NEAR_ZERO, EpochStats, Evaluation, History, Recipe, Zeroing

State = dict[str, Any]


@runtime_checkable
class Penalty(Protocol):
    """What acts on the weights beside the loss: around the optimizer's step, and after an epoch before it is judged.

    Another one of its kind goes on from its `state` where a phase was broken off."""

    def before_step(self) -> None: ...

    def after_step(self, learning_rate: float) -> None: ...

    def after_epoch(self, epoch: int) -> Zeroing | None: ...

    def state(self) -> State: ...

    def resume(self, state: State) -> None: ...


@runtime_checkable
class Watch(Protocol):
    """Who is told how far training is."""

    def batch(self, done: int, total: int) -> None: ...

    def epoch(self, stats: EpochStats, epochs: int, model: BilinearCNN) -> None: ...


@runtime_checkable
class Saved(Protocol):
    """Where the state of a phase outlives the process."""

    def load(self) -> State | None: ...

    def save(self, state: State) -> None: ...


class Diverged(RuntimeError):
    """The loss is no number any more."""


def fit(
    model: BilinearCNN,
    train: Split,
    recipe: Recipe,
    penalty: Penalty,
    validate: Callable[[BilinearCNN], Evaluation],
    generator: torch.Generator,
    watch: Watch,
    saved: Saved,
    autocast: torch.dtype | None = None,
    ranks: Ranks = ALONE,
) -> History:
    """Train `model` in place by `recipe` and leave it with the weights of the kept epoch.

    `validate` scores the val split after each epoch. `autocast` runs the trunk in that type, None in the weights' own.
    Every epoch draws from a seed of its own, made from `generator` here, so a phase that goes on from `saved` sees the
    same images as an unbroken one. Raises Diverged where the loss is not finite; `saved` keeps the last good epoch.

    Several `ranks` share each batch of the recipe and step by the gradient of all of it: they train on the images that
    one would, and end with the same weights as each other, bit for bit. Rank 0 alone loads and saves. BN's running
    statistics are, from the end of an epoch on, the mean of all ranks'."""
    net = ranks.wrapped(model)
    optimizer = _optimizer(model, recipe)
    steps = -(-len(train) // recipe.batch)
    scheduler: CosineAnnealingLR | ReduceLROnPlateau
    if recipe.schedule == "cosine":
        scheduler = CosineAnnealingLR(optimizer, T_max=recipe.epochs * steps)
    else:
        scheduler = ReduceLROnPlateau(optimizer, "max", recipe.decay, recipe.patience, min_lr=recipe.lowest_rate)
    seeds = torch.randint(2**62, (recipe.epochs,), generator=generator).tolist()
    epochs: list[EpochStats] = []
    kept_epoch, kept = 0, model.state_dict()
    if state := ranks.told(saved.load):
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        epochs = cattrs.structure(state["epochs"], list[EpochStats])
        kept_epoch, kept = state["kept_epoch"], state["kept"]
        penalty.resume(state.get("penalty", {}))  # a phase that an older version broke off has none

    for epoch in range(len(epochs) + 1, recipe.epochs + 1):
        start, rate = time.perf_counter(), optimizer.param_groups[0]["lr"]
        draws = torch.Generator().manual_seed(seeds[epoch - 1])
        losses, correct = [], torch.zeros((), dtype=torch.int64, device=model.device)
        for loss, right in _steps(net, train, recipe, optimizer, penalty, draws, autocast, ranks):
            if isinstance(scheduler, CosineAnnealingLR):
                scheduler.step()
            losses.append(loss)
            correct += right
            watch.batch(len(losses), steps)
        mean_loss = _mean_loss(ranks.sum(torch.stack(losses)), len(train), epoch, rate)
        _level_statistics(model, ranks)
        zeroing = penalty.after_epoch(epoch)
        val = validate(model)
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(val.accuracy)
        if recipe.keep == "last" or not epochs or val.correct > epochs[kept_epoch - 1].val.correct:
            kept_epoch, kept = epoch, {name: tensor.clone() for name, tensor in model.state_dict().items()}
        counted = Evaluation(images=len(train), correct=int(ranks.sum(correct)))
        seconds = time.perf_counter() - start
        epochs.append(EpochStats(epoch, rate, mean_loss, counted, val, _scales_at_zero(model), seconds, zeroing))
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
            "penalty": penalty.state(),
            "epochs": cattrs.unstructure(epochs),
            "kept_epoch": kept_epoch,
            "kept": kept,
        }
        ranks.told(partial(saved.save, state))
        watch.epoch(epochs[-1], recipe.epochs, model)
    model.load_state_dict(kept)
    return History(tuple(epochs), kept_epoch)


def learning_rate_sum(recipe: Recipe, images: int) -> float:
    """Σ of the trunk's learning rate over all steps of a phase; for a plateau schedule, the most it can be."""
    steps = recipe.epochs * -(-images // recipe.batch)
    return recipe.learning_rate * steps * (0.5 if recipe.schedule == "cosine" else 1)


def _steps(
    net: nn.Module,
    train: Split,
    recipe: Recipe,
    optimizer: SGD,
    penalty: Penalty,
    draws: torch.Generator,
    autocast: torch.dtype | None,
    ranks: Ranks,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch: after each step this rank's part of its batch's losses, summed, and of the images that were right."""
    net.train()
    for done, (images, labels) in enumerate(train.batches(recipe.batch, draws, ranks)):
        share = ranks.share(min(recipe.batch, len(train) - done * recipe.batch))
        x = augmented(images, recipe.augment, draws, share).contiguous(memory_format=torch.channels_last)
        with torch.autocast(train.device.type, autocast) if autocast else nullcontext():
            logits = net(x)
        # The gradient that is averaged over ranks must be that of the mean over the batch, whatever each has of it.
        # A rank that has no image goes along: its loss and its gradient are zero, and BN leaves its statistics.
        mean_share = share.of / ranks.world
        loss = F.cross_entropy(logits, labels, reduction="sum") / mean_share
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        penalty.before_step()
        optimizer.step()
        penalty.after_step(optimizer.param_groups[0]["lr"])
        yield loss.detach() * mean_share, (logits.argmax(1) == labels).sum()


def _optimizer(model: BilinearCNN, recipe: Recipe) -> SGD:
    trunk: dict[str, Any] = {"params": list(model.trunk.parameters())}
    head: dict[str, Any] = {
        "params": list(model.classifier.parameters()),
        "lr": recipe.learning_rate * recipe.classifier_rate,
        "weight_decay": recipe.classifier_weight_decay,
    }
    return SGD(
        [trunk, head],
        recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def _mean_loss(losses: Float[Tensor, " batches"], images: int, epoch: int, rate: float) -> float:
    # Looked at once an epoch: asking after every batch would make a GPU wait.
    bad = (~losses.isfinite()).nonzero().flatten().tolist()
    if bad:
        raise Diverged(
            f"the loss is {float(losses[bad[0]])} in epoch {epoch}, batch {bad[0] + 1} of {len(losses)}: "
            f"try a learning rate below {rate:g}, or fp32 instead of bf16"
        )
    return float(losses.sum()) / images


@torch.no_grad()
def _level_statistics(model: BilinearCNN, ranks: Ranks) -> None:
    for statistic in model.buffers():
        if statistic.is_floating_point():  # all but the counter of batches, in which ranks agree
            statistic.copy_(ranks.sum(statistic) / ranks.world)


def _scales_at_zero(model: BilinearCNN) -> float:
    scales = [norm.weight.detach().abs() for norm in model.norms.values()]
    return float((torch.cat(scales) < NEAR_ZERO).float().mean()) if scales else 0.0
