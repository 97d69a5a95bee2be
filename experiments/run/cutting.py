"""How a flow cuts, and trains after it, as far as its settings say so before there is a network."""

from dataclasses import dataclass

from bcnn_prune.pruning.importance import BY_GATES
from bcnn_prune.pruning.ranking import min_widths
from bcnn_prune.records import Distillation
from bcnn_prune.spec import ModelSpec


@dataclass(frozen=True)
class Cutting:
    """A flow's cuts and the training after them, by its settings; a flow without has the defaults."""

    share: float = 0.0
    """Share of all channels that is cut in the end, as far as the settings say."""
    by_budget: bool = False
    """The share follows from a budget, when there is a network to cut."""
    min_channels: int = 1
    min_share: float = 0.0
    recalibrate: int = 0
    criterion: str = "bn-scale"
    fine_tune_epochs: int | None = None
    fine_tune_rate: float | None = None
    distillation: Distillation | None = None

    def fewest(self, spec: ModelSpec) -> dict[str, int]:
        """The least that a cut leaves of each layer of the unpruned network: all of a layer without scores."""
        scored = spec.gated if self.criterion in BY_GATES else spec.layers
        widths = {layer: spec.width_of[layer] for layer in scored}
        return {**spec.width_of, **min_widths(widths, self.min_channels, self.min_share)}
