"""Top-1 accuracy, as counts."""

import torch

from bcnn_prune.data.augment import normalised
from bcnn_prune.data.batches import Split
from bcnn_prune.execution import PLAIN, Execution
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.model.precision import true_fp32
from bcnn_prune.records import Evaluation


@torch.no_grad()
def evaluate(
    model: BilinearCNN,
    split: Split,
    execution: Execution = PLAIN,
    batch: int = 64,
) -> Evaluation:
    """Images of `split` whose largest logit is at their label, each seen once and as it is. Leaves `model` as it was.

    Several ranks look at a share of each batch and get the same sum."""
    autocast, ranks = execution.autocast, execution.ranks
    training = model.training
    model.eval()
    try:
        correct = torch.zeros((), dtype=torch.int64, device=model.device)
        with torch.autocast(model.device.type, autocast) if autocast else true_fp32():
            for images, labels in split.batches(batch, ranks=ranks):
                correct += (model(normalised(images)).argmax(1) == labels).sum()
    finally:
        model.train(training)
    return Evaluation(images=len(split), correct=int(ranks.sum(correct)))
