"""The method on one page: score, select, rebuild, recalibrate, fine-tune, evaluate (thesis 1.3, 3.3).

The dense and the sparse network before it, and the fine-tuning after it, are training phases (phase.py)."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bcnn_prune.data.augment import normalised
from bcnn_prune.evaluation.accuracy import evaluate
from bcnn_prune.evaluation.by_class import wilson_interval
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.phase import RunContext
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.absorb import absorbed, is_chain, with_constant_channels
from bcnn_prune.pruning.importance import CRITERIA, Scores, with_blocks
from bcnn_prune.pruning.ranking import keep_highest, min_widths, threshold
from bcnn_prune.pruning.recalibrate import recalibrated
from bcnn_prune.pruning.repair import repaired
from bcnn_prune.pruning.rules import ranked_by
from bcnn_prune.pruning.select import round_widths_up
from bcnn_prune.pruning.sensitivity import by_sensitivity, sensitivity
from bcnn_prune.pruning.surgery import largest_difference, rebuild, silenced
from bcnn_prune.records import Evaluation, History, PruneStep
from bcnn_prune.records.sensitivity import Sensitivity
from bcnn_prune.spec import ModelSpec

CERTIFICATE = 1e-4  # fp32 rounding through 13 layers is some 1e-6; a wrong index is of order 1
CERTIFICATE_IMAGES = 64
SCORED_IMAGES, SCORED_BATCH = 256, 16  # of the training split, for criteria that look at gradients
RECALIBRATION_BATCH = 64


class RunAborted(RuntimeError):
    """The run cannot reach a meaningful result; the message says why and what to try."""


Selection = Callable[[ModelSpec, Scores, Mapping[str, int]], ChannelPlan]
"""From a network's spec, the scores that its channels are ranked by, and the fewest channels by layer, to a plan."""


@dataclass(frozen=True)
class Cut:
    """Number of channels to prune, and the way to select them."""

    drop: int | Selection
    """Channels of the whole network (fewer go if widths are rounded up), or a function that selects, as by a budget."""
    min_channels: int
    """Channels that stay in every layer."""
    recalibrate: int
    """Training images over which BN statistics are averaged anew after the cut; 0 leaves them."""
    multiple: int = 1
    """Widths are rounded up to a multiple of this."""
    criterion: str = "bn-scale"
    rule: str = "thesis"
    """Ranking of scores of different layers against each other: a name in RULES."""
    min_share: float = 0.0
    """Share of each layer that stays at least; whichever is more, this or `min_channels`."""
    min_share_of: ModelSpec | None = None
    """The network whose layers `min_share` is a share of; the one that is cut if None."""
    sensitivity: tuple[float, ...] = ()
    """Shares of each layer's width at which its sensitivity is measured, to rank by that; none: by scores as `rule`
    has them."""
    repair: int = 0
    """Training images, without their labels, by which the weights left are fitted to what all channels gave; 0 leaves
    them."""

    def select(self, spec: ModelSpec, scores: Scores) -> ChannelPlan:
        """The channels that stay of a network of `spec`, which has these scores."""
        ranked = ranked_by(with_blocks(scores, spec.blocks), self.rule)
        fewest = min_widths((self.min_share_of or spec).width_of, self.min_channels, self.min_share)
        if isinstance(self.drop, int):
            plan = keep_highest(ranked, self.drop, fewest)
        else:
            plan = self.drop(spec, ranked, fewest)
        return round_widths_up(plan, ranked, self.multiple).completed(spec)


def prune(context: RunContext, model: BilinearCNN, cut: Cut) -> tuple[BilinearCNN, PruneStep]:
    """Prune `model` and evaluate before fine-tuning. `model` is untouched.

    Raises RunAborted if the rebuilt network is not the silenced one."""
    scores = scores_of(context, model, cut.criterion)
    if cut.sensitivity:
        found = measure_sensitivity(context, model, scores, cut.criterion, cut.recalibrate, cut.sensitivity)
        scores = by_sensitivity(model, scores, found)

    def select() -> tuple[ChannelPlan, float]:
        plan = cut.select(model.spec, scores)
        return plan, threshold(scores, plan)

    plan, largest_dropped = context.execution.ranks.on_rank_zero(select)
    narrow = rebuild(model, plan)
    tested = context.evaluate_test(narrow)
    step = PruneStep(
        plan=plan,
        spec=narrow.spec,
        cost=total_cost(narrow.spec, context.test.side),
        threshold=largest_dropped,
        certificate=_certificate(context, narrow, silenced(model, plan)),
        rebuilt=tested.evaluation,
        recalibrated=None,
        confusion=tested,
    )
    if cut.repair:
        narrow = _repaired(context, model, plan, cut.repair)
        tested = context.evaluate_test(narrow)
        step = replace(step, repaired=tested.evaluation, confusion=tested)
    if not cut.recalibrate:
        return narrow, step
    narrow = recalibrated_on(context, narrow, cut.recalibrate)
    tested = context.evaluate_test(narrow)
    return narrow, replace(step, recalibrated=tested.evaluation, confusion=tested)


def with_absorbed(context: RunContext, model: BilinearCNN, step: PruneStep) -> PruneStep:
    """A `step` that `prune` took from `model`, with the test counts of the same cut that absorbs ReLU(β) beside it; as
    it is for a network that is no chain of convolutions.

    Raises RunAborted if the network that absorbs is not the one whose dropped channels emit a constant."""
    if not is_chain(model.spec):
        return step
    narrow = absorbed(model, step.plan)
    certificate = _certificate(context, narrow, with_constant_channels(model, step.plan))
    found = context.evaluate_test(narrow).evaluation
    return replace(step, certificate=max(step.certificate, certificate), absorbed=found)


def require_learned(history: History, classes: int, phase: str) -> None:
    """Raise RunAborted unless the kept epoch is well above chance, a twentieth of the way to perfect: on val, or on the
    training images where val has too few to tell (the 95 % interval of its accuracy reaches so far).

    L1 on a network that has not learned kills every scale, and what is pruned after that means nothing."""
    chance = 1 / classes
    needed = chance + 0.05 * (1 - chance)
    train, val = history.kept.train, history.kept.val
    val_tells = val.accuracy >= needed or wilson_interval(val)[1] < needed
    if (val if val_tells else train).accuracy < needed:
        raise RunAborted(
            f"the {phase} phase has not learned: val accuracy {val.accuracy:.3f} of {val.images} images, train "
            f"accuracy {train.accuracy:.3f}, chance {chance:.3f}. Try another learning rate, more epochs, or (after "
            "sparse training) a weaker λ"
        )


def scores_of(context: RunContext, model: BilinearCNN, criterion: str) -> Scores:
    """Scores of all channels, by rank 0 for all: from scores that differ in a rounding, two ranks would make two
    networks."""

    def scores() -> Scores:
        rng = torch.Generator().manual_seed(context.seed)
        scored = context.train.take(SCORED_IMAGES, rng).batches(SCORED_BATCH)
        return CRITERIA[criterion](model, ((normalised(images), labels) for images, labels in scored), rng)

    return context.execution.ranks.on_rank_zero(scores)


def measure_sensitivity(
    context: RunContext,
    model: BilinearCNN,
    scores: Scores,
    criterion: str,
    recalibrate: int,
    shares: tuple[float, ...],
) -> Sensitivity:
    """Val counts with each layer alone cut to these shares of its width, BN statistics recomputed."""

    def counted(narrow: BilinearCNN) -> Evaluation:
        network = recalibrated_on(context, narrow, recalibrate) if recalibrate else narrow
        return evaluate(network, context.val, context.execution)

    return sensitivity(model, scores, criterion, counted, shares)


def _repaired(context: RunContext, model: BilinearCNN, plan: ChannelPlan, count: int) -> BilinearCNN:
    """By rank 0 for all, as sums in another order would make other weights."""
    batches, rng = list(_unlabelled(context, count)), torch.Generator().manual_seed(context.seed)
    narrow = context.execution.ranks.on_rank_zero(lambda: repaired(model, plan, batches, rng))
    return narrow.to(model.device)


def recalibrated_on(context: RunContext, model: BilinearCNN, count: int) -> BilinearCNN:
    """Copy `model` with BN statistics averaged anew over so many training images."""
    return recalibrated(model, _unlabelled(context, count))


def _unlabelled(context: RunContext, count: int) -> Iterator[Tensor]:
    """Normalised training images, drawn by the seed, in batches that differ by one in size at most."""
    images = context.train.take(count, torch.Generator().manual_seed(context.seed)).images
    return map(normalised, images.tensor_split(math.ceil(len(images) / RECALIBRATION_BATCH)))


def _certificate(context: RunContext, narrow: BilinearCNN, wide: BilinearCNN) -> float:
    """Largest difference of two networks' logits on training images. Raises RunAborted if it is beyond rounding."""
    sample = normalised(context.train.take(CERTIFICATE_IMAGES).images)
    certificate = largest_difference(narrow, wide, sample)
    if not certificate <= CERTIFICATE:
        raise RunAborted(f"the rebuilt network differs from the silenced one by {certificate:.1e} of its largest logit")
    return certificate
