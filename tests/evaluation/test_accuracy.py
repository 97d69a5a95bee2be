"""Counting right answers, against a count by hand."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.special
import sklearn.metrics
import torch

from bcnn_prune.data.augment import normalised
from bcnn_prune.data.batches import ImageSplit
from bcnn_prune.distributed import ProcessGroup
from bcnn_prune.evaluation.accuracy import confusion_matrix, correct_images, evaluate
from bcnn_prune.execution import Execution
from bcnn_prune.model.network import BilinearCNN
from tests.helpers.strategies import SIDE, TINY, random_model


def images_of(count: int, classes: int = 3) -> ImageSplit:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=generator).to(torch.uint8)
    return ImageSplit(images, torch.randint(0, classes, (count,), generator=generator))


def network_for(split: ImageSplit, classes: int = 3) -> BilinearCNN:
    """A network that predicts several classes of these images."""
    model = random_model(replace(TINY, classes=classes)).float()
    with torch.no_grad():
        model.classifier.bias -= logits_of(model, split).mean(0)
    assert len(logits_of(model, split).argmax(1).unique()) > 1
    return model


def test_it_counts_the_largest_logit_at_the_label_in_any_batching() -> None:
    model = network_for(split := images_of(37))
    with torch.no_grad():
        logits = [model(normalised(split.images[i : i + 1])).squeeze().double().numpy() for i in range(37)]
    correct = sum(int(logit.argmax()) == label for logit, label in zip(logits, split.labels.tolist(), strict=True))
    loss = sklearn.metrics.log_loss(split.labels, scipy.special.softmax(logits, axis=1))
    assert 0 < correct < 37
    for batch in (1, 10, 64):
        evaluation = evaluate(model, split, batch=batch)
        assert (evaluation.images, evaluation.correct) == (37, correct)
        assert evaluation.loss == pytest.approx(loss, rel=1e-5)


def logits_of(model: BilinearCNN, split: ImageSplit) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([model(normalised(split.images[i : i + 1])) for i in range(len(split))])


@pytest.mark.parametrize("classes", [3, 11])
def test_a_confusion_matrix_and_the_top_5_are_those_of_scikit_learn_in_any_batching(classes: int) -> None:
    model = network_for(split := images_of(61, classes), classes)
    logits, labels = logits_of(model, split), split.labels.numpy()
    expected = sklearn.metrics.confusion_matrix(labels, logits.argmax(1).numpy(), labels=range(classes))
    in_top_5 = 61
    if classes > 5:
        in_top_5 = sklearn.metrics.top_k_accuracy_score(
            labels, logits.numpy(), k=5, normalize=False, labels=range(classes)
        )
        assert in_top_5 < 61
    for batch in (1, 10, 64):
        found = confusion_matrix(model, split, batch=batch)
        assert min(found.count) > 0
        dense = np.zeros_like(expected)
        dense[list(found.true), list(found.predicted)] = found.count
        assert (dense == expected).all()
        assert found.in_top_5 == in_top_5
        assert found.evaluation == evaluate(model, split)


def test_of_equal_logits_the_lowest_class_is_predicted() -> None:
    model, split = random_model(replace(TINY, classes=7)).float(), images_of(20, 7)
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter.zero_()
    found = confusion_matrix(model, split)
    assert set(found.predicted) == {0}
    assert found.evaluation == evaluate(model, split)
    assert found.in_top_5 == int((split.labels < 5).sum())


@pytest.mark.parametrize("world", [1, 3, 20])
def test_each_image_is_correct_whoever_of_several_ranks_looks_at_it(world: int) -> None:
    model = network_for(split := images_of(37))
    expected = logits_of(model, split).argmax(1) == split.labels
    ranks = [Execution(ranks=ProcessGroup(rank, world)) for rank in range(world)]
    shares = torch.stack([correct_images(model, split, execution, batch=16) for execution in ranks])
    assert shares.sum(dim=0).tolist() == expected.long().tolist()


def test_it_uses_running_statistics_and_leaves_the_mode_as_it_was() -> None:
    model, split = random_model(TINY).float().train(), images_of(8)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    evaluate(model, split)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
