"""One surgery in a process of its own, as experiments.measure.surgery starts it with a job in JSON.

Prints where it is, layer by layer, and at the end an `Outcome` as JSON. Peak memory is the largest resident memory
while the surgery ran less what was resident before it: the system's mark of the largest (VmHWM) is set back in between,
so that neither the imports nor the making of the model count."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import torch
from cattrs.preconf.json import make_converter

from bcnn_prune.model.init import fresh
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.budget_split import drop_counts
from bcnn_prune.pruning.importance import random_scores
from bcnn_prune.pruning.select import keep_highest
from bcnn_prune.pruning.surgery import largest_difference, rebuild, silenced
from bcnn_prune.spec import ModelSpec
from experiments.run.isolated import do_job

JSON = make_converter(forbid_extra_keys=True)
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SIDE, IMAGES, FLOOR = 32, 2, 1
"""Of the images that logits are compared on, and the channels that stay in every layer."""
READY = "ready"
"""Said when the surgery begins."""
Tool = Literal["rebuild", "torch-pruning"]
Result = TypeVar("Result")


@dataclass(frozen=True)
class SurgeryJob:
    """A tool, a network and a plan, which follows from share and seed."""

    tool: Tool
    spec: ModelSpec
    share: float
    """Of all channels, to be cut."""
    last: bool = True
    """Whether the last layer, whose products the classifier reads, is cut too; if not, its channels all stay."""
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What the surgery took and what came out."""

    seconds: float
    peak_bytes: int
    """Above what was resident when the model had been made."""
    model_bytes: int
    """Weights and statistics of the model before."""
    channels: int
    """Cut."""
    columns_to_go: int
    """Of the classifier's, by the plan."""
    columns_named: int
    """Of the classifier's, which the tool asked to remove, repeats and such that do not exist included."""
    difference: float | None
    """Largest from the silenced network's logits, over the largest of them; None where the result computes none."""
    failure: str = ""
    """Why it cannot."""


def plan_for(job: SurgeryJob, model: BilinearCNN) -> ChannelPlan:
    """The lowest of scores drawn by lot."""
    scores = random_scores(model, (), torch.Generator().manual_seed(job.seed))
    (drop,) = drop_counts(job.spec.channels, job.share)
    plan = keep_highest(scores, drop, FLOOR)
    if job.last:
        return plan
    last = job.spec.layers[-1]
    return ChannelPlan({**plan.kept, last: tuple(range(job.spec.width_of[last]))})


def done(job: SurgeryJob) -> Outcome:
    """Make the model, carry the plan out, and compare with the silenced network."""
    model = made(job)
    plan = plan_for(job, model)
    narrow = plan.narrow(job.spec)
    columns = job.spec.features - narrow.features
    model_bytes = sum(tensor.nbytes for tensor in model.state_dict().values())
    if job.tool == "torch-pruning":
        import torch_pruning  # noqa: F401 (importing it is no part of the surgery)
    print(READY, flush=True)
    (result, named), seconds, peak = measured(lambda: TOOLS[job.tool](model, plan))
    outcome = Outcome(
        seconds, peak, model_bytes, job.spec.channels - narrow.channels, columns, columns if named is None else named, 0
    )
    images = torch.rand(IMAGES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(job.seed)) * 2 - 1
    try:
        return replace(outcome, difference=largest_difference(result, silenced(made(job), plan), images))
    except RuntimeError as error:
        return replace(outcome, difference=None, failure=str(error).splitlines()[0])


def made(job: SurgeryJob) -> BilinearCNN:
    """The same network each time. Its BN shifts are drawn, so that channels differ in what they emit."""
    generator = torch.Generator().manual_seed(job.seed)
    model = fresh(job.spec, generator).eval()
    for norm in model.norms.values():
        torch.nn.init.normal_(norm.bias, std=0.1, generator=generator)
    return model


def rebuilt(model: BilinearCNN, plan: ChannelPlan) -> tuple[BilinearCNN, int | None]:
    return rebuild(model, plan), None


def by_torch_pruning(model: BilinearCNN, plan: ChannelPlan) -> tuple[BilinearCNN, int]:
    """`model` itself, pruned as Torch-Pruning's pages tell to, a group of dependent layers for each convolution.

    Also returns how many of the classifier's columns the groups name."""
    import torch_pruning

    example = torch.zeros(1, 3, SIDE, SIDE)
    graph = torch_pruning.DependencyGraph().build_dependency(model, example_inputs=example)
    named = 0
    for layer, channels in plan.dropped(model.spec).items():
        print(layer, flush=True)
        if channels:
            conv = model.convs[layer]
            group = graph.get_pruning_group(conv, torch_pruning.prune_conv_out_channels, idxs=list(channels))
            named += sum(len(item.idxs) for item in group if item.dep.target.module is model.classifier)
            group.prune()
    return model, named


TOOLS: dict[Tool, Callable[[BilinearCNN, ChannelPlan], tuple[BilinearCNN, int | None]]] = {
    "rebuild": rebuilt,
    "torch-pruning": by_torch_pruning,
}


def measured(run: Callable[[], Result]) -> tuple[Result, float, int]:
    """What `run` returns, the seconds it took, and by how many bytes the resident memory rose at the most."""
    CLEAR.write_text("5")  # man proc: the largest resident size is set to the present one
    before, start = resident("VmRSS"), time.perf_counter()
    result = run()
    seconds = time.perf_counter() - start
    return result, seconds, max(0, resident("VmHWM") - before)


def resident(mark: Literal["VmRSS", "VmHWM"]) -> int:
    """Bytes, now or at the most."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(mark))
    return int(line.split()[1]) * 1024


def main(arguments: Sequence[str] | None = None) -> None:
    do_job(done, SurgeryJob, JSON, "measure.surgery", arguments)


if __name__ == "__main__":
    main()
