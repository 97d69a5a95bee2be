"""Networks made of a trained one by other means than pruning channels, within a budget."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import lcm

from bcnn_prune.compression import ranks
from bcnn_prune.compression.low_rank import converted
from bcnn_prune.compression.sparse import magnitude_pruned
from bcnn_prune.evaluation.cost import cost_lines, total_cost
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.phase import RunContext
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.protocol import recalibrated_on
from bcnn_prune.records import PruneStep
from bcnn_prune.spec import ModelSpec
from experiments.run.budget import Budget

FORM_OF = {"low_rank": "low-rank", "separable": "separable", "grouped": "grouped", "reduced": "reduced"}
"""Methods that give layers of the trained network another form."""
SPARSE = "sparse"
SCALES = 1000
"""Width multipliers that are tried: thousandths."""


@dataclass(frozen=True)
class Conversion:
    """A method of FORM_OF, or SPARSE, and the most that its network may cost."""

    method: str
    budget: Budget
    recalibrate: int
    """Training images over which BN statistics are averaged anew; 0 leaves them."""


def convert(context: RunContext, model: BilinearCNN, conversion: Conversion) -> tuple[BilinearCNN, PruneStep]:
    """The network that a conversion makes of `model`, and its test counts. `model` is untouched."""
    if conversion.method == SPARSE:
        network = magnitude_pruned(model, 1 - weights_kept(model.spec, conversion.budget))
        return network, unfinished(context, network, SPARSE)

    def made() -> BilinearCNN:
        cost, limit = counted(conversion.budget)
        return converted(model, ranks.within(model, FORM_OF[conversion.method], cost, limit))

    # By rank 0 for all, as sums in another order would make other weights.
    network = context.execution.ranks.on_rank_zero(made).to(model.device)
    step = unfinished(context, network, conversion.method)
    if not (conversion.recalibrate and model.spec.batch_norm):
        return network, step
    network = recalibrated_on(context, network, conversion.recalibrate)
    tested = context.evaluate_test(network)
    return network, replace(step, recalibrated=tested.evaluation, confusion=tested)


def unfinished(context: RunContext, network: BilinearCNN, method: str) -> PruneStep:
    """The step of a network before its training: no channel of it was cut."""
    tested = context.evaluate_test(network)
    return PruneStep(
        plan=ChannelPlan.keep_all(network.spec),
        spec=network.spec,
        cost=total_cost(network.spec, context.test.side),
        threshold=0.0,
        certificate=0.0,
        rebuilt=tested.evaluation,
        recalibrated=None,
        confusion=tested,
        method=method,
    )


def counted(budget: Budget) -> tuple[Callable[[ModelSpec], float], float]:
    """The cost that a budget of parameters or of multiply-adds limits, and its limit."""
    if budget.macs is None:
        assert budget.params is not None
        return lambda spec: total_cost(spec, budget.side).params, budget.params
    return lambda spec: total_cost(spec, budget.side).macs, budget.macs


def require_possible(spec: ModelSpec, method: str, budget: Budget) -> None:
    """Raise ValueError, with what is possible, where a method cannot make `spec` so small."""
    if method == SPARSE:
        weights_kept(spec, budget)
        return
    try:
        ranks.require_possible(spec, FORM_OF[method], *counted(budget))
    except ValueError as error:
        raise ValueError(
            f"{budget.asked()} cannot be met: {error}; take another --method, or a smaller --width"
        ) from error


def share_kept(spec: ModelSpec, budget: Budget) -> float:
    """The budget as a share of what a network of `spec` costs; at most 1."""
    cost, limit = counted(budget)
    return min(1.0, limit / cost(spec))


def weights_kept(spec: ModelSpec, budget: Budget) -> float:
    """The share of single weights that stays when the others are pruned: as many as the parameters allow beside biases
    and BatchNorms, or the share of the multiply-adds. Raises ValueError where no weight could stay."""
    lines = cost_lines(spec, budget.side).values()
    weights = sum(line.params for line in lines if line.macs)
    others = sum(line.params for line in lines) - weights
    if budget.macs is None:
        _, limit = counted(budget)
        if limit <= others:
            raise ValueError(f"{budget.asked()} cannot be met: biases and BatchNorms alone have {others:,} parameters")
        share = min(1.0, (limit - others) / weights)
    else:
        share = share_kept(spec, budget)
    if share * weights < 1:
        raise ValueError(f"{budget.asked()} cannot be met: not one of {weights:,} weights could stay")
    return share


def narrowed(spec: ModelSpec, budget: Budget, multiple: int = 1) -> ModelSpec:
    """The widest of all uniformly narrower networks that meets the budget, whose widths are multiples of `multiple`, or
    whole. Raises ValueError where there is none."""
    cost, limit = counted(budget)

    def at(scale: int) -> ModelSpec:
        steps = {layer: lcm(multiple, spec.blocks.get(layer, 1)) for layer in spec.layers}
        widths = (
            min(spec.width_of[of], max(1, round(scale * spec.width_of[of] / SCALES / step)) * step)
            for of, step in steps.items()
        )
        return replace(spec, widths=tuple(widths))

    scale = bisect_right(range(1, SCALES + 1), limit, key=lambda scale: cost(at(scale)))
    if scale == 0:
        raise ValueError(f"{budget.asked()} cannot be met: the narrowest {spec.title} costs {cost(at(1)):,.0f}")
    return at(scale)
