"""Counting right answers, against a count by hand."""

import torch

from bcnn_prune.data.augment import normalised
from bcnn_prune.data.batches import ImageSplit
from bcnn_prune.evaluation.accuracy import evaluate
from bcnn_prune.evaluation.latency import timed_in_turn
from tests.helpers.strategies import SIDE, TINY, random_model


def images_of(count: int) -> ImageSplit:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=generator).to(torch.uint8)
    return ImageSplit(images, torch.randint(0, 3, (count,), generator=generator))


def test_it_counts_the_largest_logit_at_the_label_in_any_batching() -> None:
    model, split = random_model(TINY).float(), images_of(37)
    with torch.no_grad():
        answers = [int(model(normalised(split.images[i : i + 1])).argmax()) for i in range(37)]
    correct = sum(answer == label for answer, label in zip(answers, split.labels.tolist(), strict=True))
    assert 0 < correct < 37
    for batch in (1, 10, 64):
        evaluation = evaluate(model, split, batch=batch)
        assert (evaluation.images, evaluation.correct) == (37, correct)


def test_it_uses_running_statistics_and_leaves_the_mode_as_it_was() -> None:
    model, split = random_model(TINY).float().train(), images_of(8)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    evaluate(model, split)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_times_are_of_every_network_with_median_between_quartiles() -> None:
    small, large = random_model(TINY).float(), random_model(TINY).float()
    latencies = timed_in_turn({"small": small, "large": large}, side=32, batch=2, rounds=7, warm_up=1)
    assert list(latencies) == ["small", "large"]
    for latency in latencies.values():
        assert 0 < latency.lower_quartile_ms <= latency.median_ms <= latency.upper_quartile_ms
        assert (latency.rounds, latency.batch) == (7, 2)
