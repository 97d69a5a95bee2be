"""Top-1 accuracy and the confusion matrix, as counts, and by image."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from bcnn_prune.data.augment import normalised
from bcnn_prune.data.batches import Split
from bcnn_prune.execution import PLAIN, Execution
from bcnn_prune.model.network import Trainable, evaluating
from bcnn_prune.model.precision import true_fp32
from bcnn_prune.records import ConfusionMatrix, Evaluation


def evaluate(
    model: Trainable,
    split: Split,
    execution: Execution = PLAIN,
    batch: int = 64,
) -> Evaluation:
    """Images of `split` whose largest logit is at their label, each seen once and as it is, and the mean cross-entropy.
    Leaves `model` as it was.

    Several ranks look at a share of each batch and get the same sums."""
    correct = torch.zeros((), dtype=torch.int64, device=model.device)
    loss = torch.zeros((), dtype=torch.float64, device=model.device)

    def count(logits: Float[Tensor, "batch classes"], labels: Int64[Tensor, " batch"]) -> None:
        correct.add_((logits.argmax(1) == labels).sum())
        loss.add_(F.cross_entropy(logits.float(), labels, reduction="sum"))

    _for_each_batch(model, split, execution, batch, count)
    mean_loss = float(execution.ranks.sum(loss)) / len(split)
    finite = mean_loss if math.isfinite(mean_loss) else None
    return Evaluation(images=len(split), correct=int(execution.ranks.sum(correct)), loss=finite)


def confusion_matrix(
    model: Trainable,
    split: Split,
    execution: Execution = PLAIN,
    batch: int = 64,
) -> ConfusionMatrix:
    """Images of `split` by label and largest logit; its `evaluation` is that of `evaluate`. Leaves `model` as it was.

    Of equal logits that of the lowest class counts as larger. Several ranks get the same sums."""
    classes = model.classifier.out_features
    cells = torch.zeros(classes * classes, dtype=torch.int64, device=model.device)
    in_top_5 = torch.zeros(1, dtype=torch.int64, device=model.device)

    def count(logits: Float[Tensor, "batch classes"], labels: Int64[Tensor, " batch"]) -> None:
        ranked = logits.argsort(dim=1, descending=True, stable=True)[:, :5]
        cells.add_(torch.bincount(labels * classes + ranked[:, 0], minlength=len(cells)))
        in_top_5.add_((ranked == labels[:, None]).sum())

    _for_each_batch(model, split, execution, batch, count)
    *counts, top = execution.ranks.sum(torch.cat([cells, in_top_5])).tolist()
    held = [i for i, images in enumerate(counts) if images]
    return ConfusionMatrix(
        true=tuple(i // classes for i in held),
        predicted=tuple(i % classes for i in held),
        count=tuple(counts[i] for i in held),
        in_top_5=top,
    )


def correct_images(
    model: Trainable,
    split: Split,
    execution: Execution = PLAIN,
    batch: int = 64,
) -> Bool[Tensor, " images"]:
    """True for each image of `split`, in its order, that `evaluate` counts as correct. Leaves `model` as it was."""
    found = torch.zeros(len(split), dtype=torch.int64, device=model.device)
    positions = iter(torch.split(torch.arange(len(split), device=model.device), batch))

    def mark(logits: Float[Tensor, "batch classes"], labels: Int64[Tensor, " batch"]) -> None:
        rows = next(positions)
        found[rows[execution.ranks.share(len(rows)).rows]] = (logits.argmax(1) == labels).long()

    _for_each_batch(model, split, execution, batch, mark)
    return execution.ranks.sum(found).bool()


@torch.no_grad()
def _for_each_batch(
    model: Trainable, split: Split, execution: Execution, batch: int, see: Callable[[Tensor, Tensor], None]
) -> None:
    """Show this rank's logits and labels of every batch to `see`."""
    autocast = execution.autocast
    with evaluating(model), torch.autocast(model.device.type, autocast) if autocast else true_fp32():
        for images, labels in split.batches(batch, ranks=execution.ranks):
            see(model(normalised(images)), labels)
