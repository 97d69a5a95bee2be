"""Soft filter pruning (He et al. 2018, algorithm 1; thesis table 4.6): what is cut may grow back until the end."""

from collections.abc import Callable

import torch

from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.pruning.select import lowest
from bcnn_prune.pruning.sparsity import ScaleL1, scales
from bcnn_prune.pruning.surgery import silenced
from bcnn_prune.records import Evaluation, Softening, Zeroing

Channels = frozenset[tuple[str, int]]
Validate = Callable[[BilinearCNN], Evaluation]


class SoftPruning:
    """L1 on BN scales, and at the end of an epoch γ and β of the lowest channels to zero, as `softening` says.

    What was zeroed goes on training. A phase that goes on from disk needs nothing more: what is zero was zeroed."""

    def __init__(self, model: BilinearCNN, l1: ScaleL1, softening: Softening, validate: Validate) -> None:
        self._model, self._l1, self._softening, self._validate = model, l1, softening, validate
        self._zeroed: Channels | None = None

    def before_step(self) -> None:
        """Change the gradients of the scales in place."""
        if self._zeroed is None:  # the first step of a phase, or of one that goes on: training has touched nothing yet
            self._zeroed = _zeroed(self._model)
        self._l1.before_step()

    def after_step(self, learning_rate: float) -> None:
        """Change the scales in place."""
        self._l1.after_step(learning_rate)

    def after_epoch(self, epoch: int) -> Zeroing | None:
        """Zero the lowest channels, if it is time; counted before and after on the val split."""
        soft = self._softening
        if epoch % soft.every:
            return None
        drop = soft.drop * min(epoch, soft.ramp) // soft.ramp
        before = self._validate(self._model)
        plan = lowest(scales(self._model), drop, soft.floor)
        self._model.load_state_dict(silenced(self._model, plan).state_dict())
        dropped = plan.dropped(self._model.spec)
        last = self._zeroed
        self._zeroed = frozenset((layer, channel) for layer, channels in dropped.items() for channel in channels)
        jaccard = len(last & self._zeroed) / len(last | self._zeroed) if last else None
        return Zeroing(drop, before, self._validate(self._model), jaccard)


def _zeroed(model: BilinearCNN) -> Channels:
    # The proximal step brings γ to zero too, but never β with it.
    return frozenset(
        (layer, channel)
        for layer, norm in model.norms.items()
        for channel in torch.nonzero((norm.weight == 0) & (norm.bias == 0)).flatten().tolist()
    )
