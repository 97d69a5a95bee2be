"""One training loop timed in a process of its own: the usual one, or ours, which is `fit` as every run calls it.

As experiments.measure.throughput starts it, with a job in JSON; prints a `LoopTiming` as JSON."""

import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from cattrs.preconf.json import make_converter
from torch import Tensor, nn
from torch.optim import SGD
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from bcnn_prune.data.batches import Batch, ImageSplit, read_split
from bcnn_prune.execution import Execution
from bcnn_prune.model.init import fresh
from bcnn_prune.model.network import BilinearCNN, Trainable
from bcnn_prune.pruning.sparsity import ScaleL1
from bcnn_prune.records import EpochStats, Evaluation
from bcnn_prune.spec import ModelSpec
from bcnn_prune.training.fit import NoCheckpoints, fit
from experiments.recipes import recipes_of
from experiments.run.isolated import do_job

PREFETCH = 2  # batches that each DataLoader worker has ready: torch's own default

JSON = make_converter(forbid_extra_keys=True)
"""Converter for values between processes and in the file of results."""


@dataclass(frozen=True)
class Work:
    """Work that all loops do."""

    spec: ModelSpec
    side: int
    """Pixels."""
    batch: int
    """Images per step."""
    warm_up: int
    """Steps before the clock is read."""
    steps: int
    """Timed steps."""
    workers: int
    """DataLoader processes where images are decoded while training."""
    device: str
    bf16: bool
    """True to run our trunk in bf16; where the processor has none, fp32 as in the usual loop."""

    @property
    def images(self) -> int:
        return self.batch * (self.warm_up + self.steps)


@dataclass(frozen=True)
class LoopJob:
    """One process: which loop, the folder with the images (photos/<class>/*.jpg and set.h5), and the work."""

    loop: str
    folder: Path
    work: Work


@dataclass(frozen=True)
class LoopTiming:
    """Measurements of one process."""

    images: int
    """Trained in the timed steps."""
    seconds: float
    """Sum over the timed steps."""
    first_step_seconds: float
    peak_bytes: int
    """Largest resident memory of the training process, its workers not counted; on a GPU, most allocated there."""

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds


class Clock:
    """A TrainingCallback that reads the time after the first step, after warming up and after the last step."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._after = {0: time.perf_counter()}

    def on_batch(self, done: int, total: int) -> None:
        if done in (1, self._work.warm_up, total):
            if self._work.device == "cuda":
                torch.cuda.synchronize()
            self._after[done] = time.perf_counter()

    def on_epoch(self, stats: EpochStats, epochs: int, model: Trainable) -> None:
        pass

    def timing(self) -> LoopTiming:
        last = max(self._after)
        return LoopTiming(
            images=(last - self._work.warm_up) * self._work.batch,
            seconds=self._after[last] - self._after[self._work.warm_up],
            first_step_seconds=self._after[1] - self._after[0],
            peak_bytes=torch.cuda.max_memory_allocated() if self._work.device == "cuda" else _resident_peak(),
        )


def ours(job: LoopJob) -> LoopTiming:
    """`fit` as a run calls it: images in memory, augmented as a batch, channels-last, bf16, fused SGD."""
    recipe, clock = replace(RECIPE, batch=job.work.batch), Clock(job.work)
    model = _network(job).to(memory_format=torch.channels_last)
    fit(
        model,
        _in_memory(job),
        recipe,
        ScaleL1.of(model, recipe),
        validate=lambda _: Evaluation(images=1, correct=0),
        generator=torch.Generator().manual_seed(0),
        callback=clock,
        checkpoints=NoCheckpoints(),
        execution=Execution(torch.bfloat16 if job.work.bf16 else None),
    )
    return clock.timing()


def usual(job: LoopJob) -> LoopTiming:
    """The loop of most tutorials: JPEG files through a DataLoader, fp32, contiguous, SGD as torch makes it."""
    model = _network(job).train()
    criterion = nn.CrossEntropyLoss()
    optimizer = SGD(
        model.parameters(),
        lr=RECIPE.learning_rate,
        momentum=RECIPE.momentum,
        nesterov=True,
        weight_decay=RECIPE.weight_decay,
    )
    total_loss, correct, clock = 0.0, 0, Clock(job.work)
    for step, (images, labels) in enumerate(decoded(job), start=1):
        optimizer.zero_grad()
        logits = model(images)
        loss = criterion(logits, labels)
        loss.backward()
        optimizer.step()
        total_loss += loss.item()
        correct += int((logits.argmax(1) == labels).sum())
        clock.on_batch(step, job.work.warm_up + job.work.steps)
    return clock.timing()


LOOPS: Mapping[str, Callable[[LoopJob], LoopTiming]] = {"usual": usual, "ours": ours}

# The thesis' own, at a rate at which no network diverges in these few steps.
RECIPE = replace(recipes_of("thesis", "cars").sparse, epochs=1, learning_rate=1e-3)


def decoded(job: LoopJob) -> Iterator[Batch]:
    """The job's batches as torchvision's ImageFolder and a DataLoader give them, normalised, on the device."""
    work = job.work
    transform = transforms.Compose(
        [
            transforms.Resize((work.side, work.side)),
            transforms.RandomRotation(15),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    photos = ImageFolder(job.folder / "photos", transform)
    order = _order(work.images, len(photos))[torch.randperm(work.images)].tolist()
    # The workers go on decoding to the last timed step: else they would have done a part of its work in the warm-up.
    ahead = order[: work.workers * PREFETCH * work.batch]
    loader: DataLoader[Any] = DataLoader(
        photos,
        work.batch,
        sampler=order + ahead,
        num_workers=work.workers,
        prefetch_factor=PREFETCH if work.workers else None,
        pin_memory=work.device == "cuda",
    )
    for _, (images, labels) in zip(range(work.warm_up + work.steps), loader, strict=False):
        yield images.to(work.device, non_blocking=True), labels.to(work.device, non_blocking=True)


def _network(job: LoopJob) -> BilinearCNN:
    return fresh(job.work.spec, torch.Generator().manual_seed(0)).to(job.work.device)


def _in_memory(job: LoopJob) -> ImageSplit:
    split = read_split(job.folder / "set.h5", "train", torch.device(job.work.device))
    order = _order(job.work.images, len(split)).to(job.work.device)
    return ImageSplit(split.images[order], split.labels[order])


def _order(images: int, photos: int) -> Tensor:
    """Index of the photo of each image in the epoch: all photos once, then again from the first."""
    return torch.arange(images) % photos


def _resident_peak() -> int:
    """Bytes. A child's ru_maxrss starts from its parent's on Linux, so the kernel is asked of this program alone."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(arguments: Sequence[str] | None = None) -> None:
    do_job(lambda job: LOOPS[job.loop](job), LoopJob, JSON, "measure.throughput", arguments)


if __name__ == "__main__":
    main()
