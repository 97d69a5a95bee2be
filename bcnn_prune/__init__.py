"""Structured pruning of bilinear CNNs: create, fit, score, select, prune, recalibrate, evaluate, export.

The public names below are imported when they are first used: `import bcnn_prune` loads no torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bcnn_prune.api import cost, create, evaluate, export, fit, load, prune, recalibrate, save, score, select
    from bcnn_prune.model.network import BilinearCNN
    from bcnn_prune.plan import ChannelPlan
    from bcnn_prune.pruning.importance import CRITERIA
    from bcnn_prune.pruning.rules import RULES
    from bcnn_prune.records import Augmentation, Cost, Distillation, Evaluation, Recipe
    from bcnn_prune.spec import ModelSpec

__all__ = [
    "CRITERIA",
    "RULES",
    "Augmentation",
    "BilinearCNN",
    "ChannelPlan",
    "Cost",
    "Distillation",
    "Evaluation",
    "ModelSpec",
    "Recipe",
    "cost",
    "create",
    "evaluate",
    "export",
    "fit",
    "load",
    "prune",
    "recalibrate",
    "save",
    "score",
    "select",
]
_HOME = {
    "BilinearCNN": "bcnn_prune.model.network",
    "ChannelPlan": "bcnn_prune.plan",
    "CRITERIA": "bcnn_prune.pruning.importance",
    "RULES": "bcnn_prune.pruning.rules",
    "ModelSpec": "bcnn_prune.spec",
    **dict.fromkeys(("Augmentation", "Cost", "Distillation", "Evaluation", "Recipe"), "bcnn_prune.records"),
}
"""The modules of the names that are not in bcnn_prune.api."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"bcnn_prune has no public name {name}: it has {', '.join(__all__)}")
    return getattr(import_module(_HOME.get(name, "bcnn_prune.api")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
