"""Ranks for a budget: the energy kept over all layers at once, by dynamic programming."""

from collections.abc import Callable

import numpy as np
import torch

from bcnn_prune.compression.low_rank import blocks_of, energies
from bcnn_prune.forms import DENSE, GROUPS, has_width
from bcnn_prune.layers import Conv, Linear, Step
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.pruning.allocate import best_widths
from bcnn_prune.pruning.chain_cost import ChainCost, Costs, Widths
from bcnn_prune.spec import ModelSpec

MOST_RANKS = 48
"""Ranks considered in a layer: all of them up to this many, beyond it evenly spaced ones."""
AS_IT_IS = 0
"""Stands among the choices of channels for a layer without a form."""


@torch.no_grad()
def within(model: BilinearCNN, form: str, cost: Callable[[ModelSpec], float], budget: float) -> ModelSpec:
    """The spec of `model` with layers in `form` that costs at most `budget` and keeps the largest sum over layers of
    the share of squared weights. A layer that a form would not make cheaper stays as it is.

    `cost` must be linear in the ranks, and a sum over layers, as parameters and multiply-adds are. Raises ValueError,
    with the least possible, where that is more than the budget."""
    require_possible(model.spec, form, cost, budget)
    whole = cost(model.spec)
    choices: dict[str, Widths] = {}
    kept: list[Costs] = []
    saved: list[Costs] = []
    for step in filter(lambda step: takes(form, step), model.steps):
        blocks = blocks_of(form, step.x.channels)
        energy = energies(model.layer(step.name).state_dict()["weight"].double(), form).cpu().numpy()
        ranks = (
            np.unique(np.linspace(1, len(energy), MOST_RANKS).astype(np.int64)) if has_width(form) else np.array([1])
        )
        one, two = (cost(model.spec.with_forms({step.name: (form, i * blocks)})) - whole for i in (1, 2))
        extra = one + (two - one) * (ranks - 1)
        ranks, extra = ranks[extra < 0], extra[extra < 0]
        choices[step.name] = np.append(ranks * blocks, AS_IT_IS)
        kept.append(np.append(energy[ranks - 1], 1.0))
        saved.append(np.append(extra, 0.0))
    rows = (1, *map(len, saved))
    terms = tuple(np.broadcast_to(extra, (row, len(extra))) for row, extra in zip(rows, saved, strict=False))
    best = best_widths(kept, ChainCost(choices, terms), budget - whole)
    return model.spec.with_forms({name: (form, between) for name, between in best.items() if between != AS_IT_IS})


def require_possible(spec: ModelSpec, form: str, cost: Callable[[ModelSpec], float], budget: float) -> None:
    """Raise ValueError, with the least possible, where the lowest ranks cost more than the budget, or where no layer
    takes the form."""
    whole = least = cost(spec)
    steps = [step for step in spec.steps() if takes(form, step)]
    if not steps:
        raise ValueError(f"no layer of {spec.title} takes the form {form}")
    for step in steps:
        lowest = spec.with_forms({step.name: (form, blocks_of(form, step.x.channels))})
        least += min(0, cost(lowest) - whole)
    if least > budget:
        raise ValueError(f"the form {form} leaves {least:,.0f} at the lowest ranks, and the budget is {budget:,.0f}")


def takes(form: str, step: Step) -> bool:
    """Whether the layer at `step` has a form that could make it cheaper; all have the one that leaves it as it is."""
    match step.layer:
        case Conv(groups=1, kernel=1) | Linear():
            return form in (DENSE, "low-rank")
        case Conv(groups=1):
            return form != "grouped" or step.x.channels % GROUPS == 0
        case _:
            return form == DENSE
