"""One surgery in a process of its own, as experiments.measure.surgery starts it with a job in JSON.

Prints each layer that it begins to cut, and at the end a `SurgeryOutcome` as JSON. Peak memory is the largest resident
memory during the surgery less that before it. The system's high-water mark (VmHWM) is reset in between, so that neither
the imports nor the construction of the model count."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

import torch

from bcnn_prune.model.init import fresh
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.importance import random_scores
from bcnn_prune.pruning.ranking import drop_counts, keep_highest
from bcnn_prune.pruning.surgery import largest_difference, rebuild, silenced
from bcnn_prune.records.json_file import CONVERTER
from bcnn_prune.records.surgery import SurgeryJob, SurgeryOutcome, Tool
from experiments.run.isolated import do_job

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SIDE, IMAGES, MIN_CHANNELS = 32, 2, 1
"""Pixels and number of the images that logits are compared on, and the channels that every layer keeps."""
READY = "ready"
"""Printed when the surgery begins."""
Result = TypeVar("Result")


def plan_for(job: SurgeryJob, model: BilinearCNN) -> ChannelPlan:
    """Plan of random channels."""
    scores = random_scores(model, (), torch.Generator().manual_seed(job.seed))
    (drop,) = drop_counts(job.spec.channels, job.share)
    plan = keep_highest(scores, drop, MIN_CHANNELS)
    if job.last:
        return plan
    last = job.spec.layers[-1]
    return ChannelPlan({**plan.kept, last: tuple(range(job.spec.width_of[last]))})


def run_job(job: SurgeryJob) -> SurgeryOutcome:
    """Make the model, carry the plan out, and compare with the silenced network."""
    model = make_model(job)
    plan = plan_for(job, model)
    narrow = plan.narrow(job.spec)
    columns = job.spec.features - narrow.features
    model_bytes = sum(tensor.nbytes for tensor in model.state_dict().values())
    if job.tool == "torch-pruning":
        import torch_pruning  # noqa: F401 (importing it is no part of the surgery)
    print(READY, flush=True)
    (result, named), seconds, peak = measured(lambda: TOOLS[job.tool](model, plan))
    outcome = SurgeryOutcome(
        seconds, peak, model_bytes, job.spec.channels - narrow.channels, columns, columns if named is None else named, 0
    )
    images = torch.rand(IMAGES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(job.seed)) * 2 - 1
    try:
        return replace(outcome, difference=largest_difference(result, silenced(make_model(job), plan), images))
    except RuntimeError as error:
        return replace(outcome, difference=None, failure=str(error).splitlines()[0])


def make_model(job: SurgeryJob) -> BilinearCNN:
    """The network of a job, the same at each call. BN shifts are random, so that channels differ in what they emit."""
    generator = torch.Generator().manual_seed(job.seed)
    model = fresh(job.spec, generator).eval()
    for norm in model.norms.values():
        torch.nn.init.normal_(norm.bias, std=0.1, generator=generator)
    return model


def rebuilt(model: BilinearCNN, plan: ChannelPlan) -> tuple[BilinearCNN, int | None]:
    return rebuild(model, plan), None


def by_torch_pruning(model: BilinearCNN, plan: ChannelPlan) -> tuple[BilinearCNN, int]:
    """`model` itself, pruned as Torch-Pruning's documentation shows, a group of dependent layers per convolution.

    Also returns how many of the classifier's columns the groups name."""
    import torch_pruning

    example = torch.zeros(1, 3, SIDE, SIDE)
    graph = torch_pruning.DependencyGraph().build_dependency(model, example_inputs=example)
    named = 0
    for layer, channels in plan.dropped(model.spec).items():
        print(layer, flush=True)
        if channels:
            conv = model.prunable[layer]
            group = graph.get_pruning_group(conv, torch_pruning.prune_conv_out_channels, idxs=list(channels))
            named += sum(len(item.idxs) for item in group if item.dep.target.module is model.classifier)
            group.prune()
    return model, named


TOOLS: dict[Tool, Callable[[BilinearCNN, ChannelPlan], tuple[BilinearCNN, int | None]]] = {
    "rebuild": rebuilt,
    "torch-pruning": by_torch_pruning,
}


def measured(run: Callable[[], Result]) -> tuple[Result, float, int]:
    """Result of `run`, its seconds, and the largest rise of the resident memory in bytes."""
    CLEAR.write_text("5")  # man proc: resets the largest resident size to the present one
    before, start = resident("VmRSS"), time.perf_counter()
    result = run()
    seconds = time.perf_counter() - start
    return result, seconds, max(0, resident("VmHWM") - before)


def resident(mark: Literal["VmRSS", "VmHWM"]) -> int:
    """Resident bytes of this process: VmRSS now, VmHWM the largest so far."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(mark))
    return int(line.split()[1]) * 1024


def main(arguments: Sequence[str] | None = None) -> None:
    do_job(run_job, SurgeryJob, CONVERTER, "measure.surgery", arguments)


if __name__ == "__main__":
    main()
