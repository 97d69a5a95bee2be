"""Knowledge distillation: a network learns from the outputs of a trained one besides the labels."""

import copy

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, channels_last

from bcnn_prune.model.network import Trainable
from bcnn_prune.records import Distillation, Recipe


def distilled(
    label_loss: Float[Tensor, ""],
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    distillation: Distillation,
) -> Float[Tensor, ""]:
    """(1 - w)·CE + w·T²·KL(teacher ‖ student) from cross-entropy and both networks' logits, all summed over a batch.

    T² gives the gradient about the size that it has at T = 1 (Hinton, Vinyals and Dean 2015, section 2)."""
    temperature, weight = distillation.temperature, distillation.weight
    told, own = (F.log_softmax(logits / temperature, 1) for logits in (teacher, student))
    divergence = F.kl_div(own, told, reduction="sum", log_target=True)
    return (1 - weight) * label_loss + weight * temperature**2 * divergence


def frozen_teacher(teacher: Trainable | None, model: Trainable, recipe: Recipe) -> Trainable | None:
    """A copy of `teacher` that evaluates and takes no gradient; None where there is none.

    Raises ValueError where there is a teacher and no distillation in the recipe, or the reverse, and where the teacher
    tells other classes apart than `model`."""
    if (teacher is None) != (recipe.distillation is None):
        raise ValueError(
            "the recipe has a distillation, but there is no teacher: give one"
            if teacher is None
            else "there is a teacher, but no distillation in the recipe: give it one, such as Distillation(4, 0.9)"
        )
    if teacher is None:
        return None
    taught, classes = teacher.classifier.out_features, model.classifier.out_features
    if taught != classes:
        raise ValueError(
            f"the teacher tells {taught} classes apart, the network {classes}: take a teacher "
            "that was trained on the same classes"
        )
    teacher = copy.deepcopy(teacher).to(device=model.device, memory_format=channels_last)  # type: ignore[call-overload]
    return teacher.eval().requires_grad_(False)
