"""Settings of runs that cut nothing."""

from dataclasses import dataclass
from typing import Literal

import tyro

from experiments.run.settings import FlowSettings


@dataclass(frozen=True, kw_only=True)
class UnprunedSettings(FlowSettings):
    """The settings of runs whose networks train whole, in one phase, without L1 and for no cut: no other is shown."""

    recipe: tyro.conf.Suppress[Literal["auto", "thesis", "drawn", "drawn-many", "small"]] = "auto"
    sparsity: tyro.conf.Suppress[float | Literal["auto"] | None] = None
    sparsity_share: tyro.conf.Suppress[float | None] = None
    scale_weight_decay: tyro.conf.Suppress[float | None] = None
    last_sparsity: tyro.conf.Suppress[float | None] = None
    update: tyro.conf.Suppress[Literal["subgradient", "proximal"] | None] = None
    classifier_epochs: tyro.conf.Suppress[int | None] = None
    sparse_epochs: tyro.conf.Suppress[int | None] = None
