"""The method on one page: sparsify, score, select, rebuild, recalibrate, fine-tune, evaluate (thesis 1.3, 3.3)."""

import copy
import hashlib
import json
import zlib
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import cattrs
import torch

from bcnn_prune.data.augment import normalised
from bcnn_prune.data.batches import Split
from bcnn_prune.evaluation.accuracy import evaluate
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.files import taking_turns
from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.absorb import absorbed, with_constant_channels
from bcnn_prune.pruning.importance import CRITERIA
from bcnn_prune.pruning.recalibrate import recalibrated
from bcnn_prune.pruning.select import lowest, rounded_up, threshold
from bcnn_prune.pruning.soft import SoftPruning
from bcnn_prune.pruning.sparsity import ScaleL1, reach, scales
from bcnn_prune.pruning.surgery import largest_difference, rebuild, silenced
from bcnn_prune.ranks import ALONE, Ranks
from bcnn_prune.records import Evaluation, History, PruneStep, Recipe, Softening
from bcnn_prune.training.fit import Penalty, Watch, fit, learning_rate_sum
from bcnn_prune.training.resume import FinishedPhase, StateFiles

CERTIFICATE = 1e-4  # fp32 rounding through 13 layers is some 1e-6; a wrong index is of order 1
CERTIFICATE_IMAGES = 64
SCORED_IMAGES, SCORED_BATCH = 256, 16  # of the training split, for criteria that look at gradients
METHOD = 1  # raised with every change that makes the same phase end otherwise: finished ones are then trained anew


class Stopped(RuntimeError):
    """The run cannot go on to a result that means anything; the message says why and what to try."""


@runtime_checkable
class PhaseWatch(Watch, Protocol):
    """A Watch that is told which phase begins."""

    def phase(self, name: str, recipe: Recipe) -> None: ...

    def reused(self, name: str, history: History, folder: Path) -> None: ...

    def waiting(self, folder: Path) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Bench:
    """What all phases of a run share: the images, the seed, how and by whom it is computed, where states and results of
    phases lie."""

    train: Split
    val: Split
    test: Split
    data_digest: str
    seed: int
    folder: Path
    watch: PhaseWatch
    autocast: torch.dtype | None = None
    ranks: Ranks = ALONE


@dataclass(frozen=True)
class Trained:
    """What a phase made: the network, what trained it, how that went, and what it came to on the test split."""

    model: BilinearCNN
    recipe: Recipe
    history: History
    test: Evaluation


def trained(bench: Bench, phase: str, model: BilinearCNN, recipe: Recipe, soft: Softening | None = None) -> Trained:
    """A copy of `model` trained by `recipe`. `model` is untouched.

    A phase is known by all that decides its outcome: starting weights, recipe, data, seed, number format, torch. One
    that was finished before is read from its folder, test counts and all, one that was broken off goes on; two
    runs take turns. Of several ranks only rank 0 reads and writes there.
    With `soft`, channels are zeroed on the way, and an epoch is judged with all of them at zero."""
    folder = bench.folder / f"{phase}-{_phase_key(bench, phase, model, recipe, soft)}"
    states, finished, ranks = StateFiles(folder), FinishedPhase(folder), bench.ranks
    model = copy.deepcopy(model).to(memory_format=torch.channels_last)

    def validate(net: BilinearCNN) -> Evaluation:
        return evaluate(net, bench.val, bench.autocast, ranks=ranks)

    penalty: Penalty = ScaleL1.of(model, recipe)
    judge = validate
    if soft is not None:
        penalty = SoftPruning(model, ScaleL1.of(model, recipe), soft, validate)

        def judge(net: BilinearCNN) -> Evaluation:
            return validate(silenced(net, lowest(scales(net), soft.drop, soft.floor)))

    with ExitStack() as held:
        ranks.told(lambda: held.enter_context(taking_turns(folder, lambda: bench.watch.waiting(folder))))
        if found := ranks.told(finished.load):
            weights, history = found
            model.load_state_dict(weights)
            bench.watch.reused(phase, history, folder)
        else:
            bench.watch.phase(phase, recipe)
            draws = torch.Generator().manual_seed(zlib.crc32(f"{phase} {bench.seed}".encode()))
            try:
                history = fit(
                    model, bench.train, recipe, penalty, judge, draws, bench.watch, states, bench.autocast, ranks
                )
            finally:
                bench.watch.close()
            ranks.told(lambda: finished.save(model, history))
        ranks.told(states.remove)  # also after a reuse: a kill may have come between the result and this
        if (test := ranks.told(finished.test)) is None:
            test = _tested(bench, model)
            ranks.told(partial(finished.save_test, test))
    return Trained(model, recipe, history, test)


def cut(
    bench: Bench,
    model: BilinearCNN,
    drop: int,
    floor: int,
    recalibrate: int,
    multiple: int = 1,
    criterion: str = "bn-scale",
) -> tuple[BilinearCNN, PruneStep]:
    """Cut `drop` channels from `model`, less what rounds the widths up to `multiple`, and tell what is left before any
    training.

    `recalibrate` is the number of training images that BN statistics are averaged over after the cut; 0 leaves them.
    Raises Stopped if the rebuilt network is not the silenced one. `model` is untouched."""

    def selected() -> tuple[ChannelPlan, float]:
        lot = torch.Generator().manual_seed(bench.seed)
        scored = bench.train.take(SCORED_IMAGES, lot).batches(SCORED_BATCH)
        scores = CRITERIA[criterion](model, ((normalised(images), labels) for images, labels in scored), lot)
        plan = rounded_up(lowest(scores, drop, floor), scores, multiple)
        return plan, threshold(scores, plan)

    # By rank 0 for all: from scores that differ in a rounding, two ranks would make two networks.
    plan, largest_dropped = bench.ranks.told(selected)
    narrow = rebuild(model, plan)
    certificate = _certified(bench, narrow, silenced(model, plan))
    step = PruneStep(
        plan=plan,
        spec=narrow.spec,
        cost=total_cost(narrow.spec, bench.test.side),
        threshold=largest_dropped,
        certificate=certificate,
        rebuilt=_tested(bench, narrow),
        recalibrated=None,
    )
    if not recalibrate:
        return narrow, step
    images = bench.train.take(recalibrate, torch.Generator().manual_seed(bench.seed)).images
    narrow = recalibrated(narrow, (normalised(part) for part in images.tensor_split(-(-len(images) // 64))))
    return narrow, replace(step, recalibrated=_tested(bench, narrow))


def with_absorbed(bench: Bench, model: BilinearCNN, step: PruneStep) -> PruneStep:
    """A `step` that `cut` took from `model`, with the test counts of the same cut that absorbs ReLU(β) beside it.

    Raises Stopped if the network that absorbs is not the one whose dropped channels emit a constant."""
    narrow = absorbed(model, step.plan)
    certificate = _certified(bench, narrow, with_constant_channels(model, step.plan))
    return replace(step, certificate=max(step.certificate, certificate), absorbed=_tested(bench, narrow))


def prune_step(
    bench: Bench,
    model: BilinearCNN,
    drop: int,
    floor: int,
    recipe: Recipe,
    recalibrate: int,
    multiple: int = 1,
    criterion: str = "bn-scale",
) -> tuple[BilinearCNN, PruneStep]:
    """`cut`, and what is left fine-tuned by `recipe`. `model` is untouched."""
    narrow, step = cut(bench, model, drop, floor, recalibrate, multiple, criterion)
    tuned = trained(bench, "fine-tune", narrow, recipe)
    return tuned.model, replace(step, fine_tuned=tuned.test, fine_tuning=tuned.history)


def unreachable(model: BilinearCNN, recipe: Recipe, images: int, share: float) -> str | None:
    """Why L1 cannot bring `share` of the scales to zero in a phase of `recipe` over `images`; None if it can.

    The bound λ·Σlr/(1 - momentum) is on what L1 does alone: the loss can move a scale too, either way. Raises
    ValueError without BatchNorm."""
    model.spec.require_batch_norm("sparse training", "a recipe without sparsity, and filter-norm or random to cut by")
    rates = learning_rate_sum(recipe, images)
    plain, last = (reach(strength, rates, recipe.momentum) for strength in (recipe.sparsity, recipe.last_sparsity))
    *others, deepest = scales(model).values()
    values = torch.cat([*others, deepest])
    reached = float(((torch.cat(others) <= plain).sum() + (deepest <= last).sum()) / len(values))
    if reached >= share:
        return None
    return (
        f"in the sparse phase L1 can move a BN scale by at most {plain:.2g} (last layer {last:.2g}), and only "
        f"{reached:.0%} of them are that small (median {float(values.median()):.2g}): {share:.0%} will not reach zero. "
        "Raise λ, the rate or the epochs"
    )


def require_learned(history: History, classes: int, phase: str) -> None:
    """Raise Stopped unless the kept epoch is well above chance on val: a twentieth of the way to perfect.

    L1 on a network that has not learned kills every scale, and what is pruned after that means nothing."""
    chance = 1 / classes
    accuracy = history.kept.val.accuracy
    if accuracy < chance + 0.05 * (1 - chance):
        raise Stopped(
            f"the {phase} phase has not learned: val accuracy {accuracy:.3f}, chance {chance:.3f}. "
            "Try another learning rate, more epochs, or (after sparse training) a weaker λ"
        )


def _certified(bench: Bench, narrow: BilinearCNN, wide: BilinearCNN) -> float:
    """Largest difference of two networks' logits on training images. Raises Stopped where it is more than rounding."""
    sample = normalised(bench.train.take(CERTIFICATE_IMAGES).images)
    certificate = largest_difference(narrow, wide, sample)
    if not certificate <= CERTIFICATE:
        raise Stopped(f"the rebuilt network differs from the silenced one by {certificate:.1e} of its largest logit")
    return certificate


def _tested(bench: Bench, model: BilinearCNN) -> Evaluation:
    return evaluate(model, bench.test, ranks=bench.ranks)


def _phase_key(bench: Bench, phase: str, model: BilinearCNN, recipe: Recipe, soft: Softening | None) -> str:
    told = [METHOD, torch.__version__, phase, *map(cattrs.unstructure, (recipe, model.spec, soft))]
    told += [bench.data_digest, bench.seed]
    if bench.ranks.world > 1:  # sums in another order, and on CPUs BN over a part of the batch
        told.append(bench.ranks.world)
    digest = hashlib.sha256(json.dumps([*told, str(bench.autocast), str(bench.train.device.type)]).encode())
    for tensor in model.state_dict().values():
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
