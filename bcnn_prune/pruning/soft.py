"""Soft filter pruning (He et al. 2018, algorithm 1; thesis table 4.6): what is cut may grow back until the end."""

from collections.abc import Callable
from typing import Any

from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.importance import with_blocks
from bcnn_prune.pruning.ranking import keep_highest, min_widths
from bcnn_prune.pruning.rules import ranked_by
from bcnn_prune.pruning.sparsity import ScaleL1, scales
from bcnn_prune.pruning.surgery import silenced
from bcnn_prune.records import Evaluation, SoftPruningEvent, SoftPruningSchedule

Channels = frozenset[tuple[str, int]]
Validate = Callable[[BilinearCNN], Evaluation]


class SoftPruning:
    """L1 on BN scales, and at the end of an epoch γ and β of the lowest channels to zero, as `softening` says.

    What was zeroed may come back, but by the optimizer's momentum alone: where γ and β are both zero the ReLU reads
    zeros, whose gradient it takes for zero, so that the channel's γ, β and filter have none. He et al. zero filters and
    leave β, which lets gradients through; γ and β are the thesis'. Raises ValueError without BatchNorm."""

    def __init__(self, model: BilinearCNN, l1: ScaleL1, softening: SoftPruningSchedule, validate: Validate) -> None:
        model.spec.require_batch_norm("soft pruning", "one-shot pruning by filter-norm or random")
        self._model, self._l1, self._softening, self._validate = model, l1, softening, validate
        self._zeroed: Channels = frozenset()

    @property
    def settled(self) -> int:
        """The epoch of the first zeroing of as many channels as in the end."""
        return -(-self._softening.ramp // self._softening.every) * self._softening.every

    def before_step(self) -> None:
        """Change the gradients of the scales in place."""
        self._l1.before_step()

    def after_step(self, learning_rate: float) -> None:
        """Change the scales in place."""
        self._l1.after_step(learning_rate)

    def state_dict(self) -> dict[str, Any]:
        """The channels of the last zeroing, which by now may be on their way back."""
        return {"zeroed": sorted(map(list, self._zeroed))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._zeroed = frozenset((layer, channel) for layer, channel in state.get("zeroed", ()))

    def after_epoch(self, epoch: int) -> SoftPruningEvent | None:
        """Zero the lowest channels, if it is time; counted before and after on the val split."""
        soft = self._softening
        if epoch % soft.every:
            return None
        drop = soft.drop * min(epoch, soft.ramp) // soft.ramp
        before = self._validate(self._model)
        plan = not_zeroed(self._model, soft, drop)
        self._model.load_state_dict(silenced(self._model, plan).state_dict())
        dropped = plan.dropped(self._model.spec)
        last = self._zeroed
        self._zeroed = frozenset((layer, channel) for layer, channels in dropped.items() for channel in channels)
        jaccard = len(last & self._zeroed) / len(last | self._zeroed) if last else None
        return SoftPruningEvent(drop, before, self._validate(self._model), jaccard)


def not_zeroed(model: BilinearCNN, soft: SoftPruningSchedule, drop: int) -> ChannelPlan:
    """All channels but the `drop` lowest by the rule of `soft`."""
    fewest = min_widths(model.spec.width_of, soft.floor, soft.min_share)
    scores = with_blocks(scales(model), model.spec.blocks)
    return keep_highest(ranked_by(scores, soft.rule), drop, fewest).completed(model.spec)
