"""Training state: what an interrupted phase needs to end exactly as an uninterrupted one."""

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import cattrs
from torch import Tensor
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from bcnn_prune.model.network import Trainable
from bcnn_prune.records import EpochStats, History, Recipe, SoftPruningEvent
from bcnn_prune.training.distil import frozen_teacher

StateDict = dict[str, Any]


@runtime_checkable
class Penalty(Protocol):
    """Hooks of sparsity around `optimizer.step()` and after each epoch: L1 in the gradient, soft thresholding, channels
    or weights set to zero. Checkpointed with the model."""

    @property
    def settled(self) -> int:
        """The first epoch that ends with all at zero that is in the end; one before it is kept until the next ends."""

    def before_step(self) -> None: ...

    def after_step(self, learning_rate: float) -> None: ...

    def after_epoch(self, epoch: int) -> SoftPruningEvent | None: ...

    def state_dict(self) -> StateDict: ...

    def load_state_dict(self, state: StateDict) -> None: ...


@dataclass
class TrainingState:
    """A model in training, its optimizer and schedule, and the epochs so far."""

    model: Trainable
    recipe: Recipe
    penalty: Penalty
    optimizer: SGD
    scheduler: CosineAnnealingLR | ReduceLROnPlateau
    epochs: list[EpochStats] = field(default_factory=list)
    kept_epoch: int = 0
    kept: dict[str, Tensor] = field(default_factory=dict)
    """Weights and statistics of the kept epoch."""
    teacher: Trainable | None = None
    """Teacher whose outputs count in the loss, as the recipe says; frozen."""

    @classmethod
    def start(
        cls, model: Trainable, recipe: Recipe, penalty: Penalty, images: int, teacher: Trainable | None = None
    ) -> "TrainingState":
        """The state before the first epoch over so many images."""
        teacher = frozen_teacher(teacher, model, recipe)
        optimizer = _optimizer(model, recipe)
        scheduler: CosineAnnealingLR | ReduceLROnPlateau
        if recipe.schedule == "cosine":
            scheduler = CosineAnnealingLR(optimizer, T_max=recipe.epochs * recipe.steps_per_epoch(images))
        else:
            scheduler = ReduceLROnPlateau(optimizer, "max", recipe.decay, recipe.patience, min_lr=recipe.lowest_rate)
        return cls(model, recipe, penalty, optimizer, scheduler, kept=model.state_dict(), teacher=teacher)

    @property
    def learning_rate(self) -> float:
        """The trunk's, of the next step."""
        rate: float = self.optimizer.param_groups[0]["lr"]
        return rate

    @property
    def history(self) -> History:
        return History(tuple(self.epochs), self.kept_epoch)

    def after_step(self) -> None:
        """Move a schedule that runs by steps."""
        if isinstance(self.scheduler, CosineAnnealingLR):
            self.scheduler.step()

    def after_epoch(self, stats: EpochStats) -> None:
        """Add an epoch, move a schedule that runs by epochs, and keep the weights if the recipe keeps this epoch."""
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(stats.val.accuracy)
        self.epochs.append(stats)
        unsettled = self.kept_epoch < self.penalty.settled
        if self.recipe.keep == "last" or unsettled or stats.val.correct > self.epochs[self.kept_epoch - 1].val.correct:
            self.kept_epoch = stats.epoch
            self.kept = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def state_dict(self) -> StateDict:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "penalty": self.penalty.state_dict(),
            "epochs": cattrs.unstructure(self.epochs),
            "kept_epoch": self.kept_epoch,
            "kept": self.kept,
        }

    def load_state_dict(self, state: StateDict) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.penalty.load_state_dict(state.get("penalty", {}))  # a phase that an older version interrupted has none
        self.epochs = cattrs.structure(state["epochs"], list[EpochStats])
        self.kept_epoch, self.kept = state["kept_epoch"], state["kept"]


def _optimizer(model: Trainable, recipe: Recipe) -> SGD:
    trunk: dict[str, Any] = {"params": list(model.trunk.parameters())}
    head: dict[str, Any] = {
        "params": [*model.head.parameters(), *model.classifier.parameters()],
        "lr": recipe.learning_rate * recipe.classifier_rate,
        "weight_decay": recipe.classifier_weight_decay,
    }
    groups = [trunk, head]
    if recipe.scale_weight_decay is not None:
        scales = [norm.weight for norm in model.norms.values()]
        names = {id(scale) for scale in scales}
        for group in groups:
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in names]
        groups.append({"params": scales, "weight_decay": recipe.scale_weight_decay})
    return SGD(
        groups,
        recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
