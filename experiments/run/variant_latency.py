"""Time the runtimes of a pruned network beside the dense eager one, in alternating processes."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from rich.table import Table

from bcnn_prune.command_line.check import at_least
from bcnn_prune.deployment.backends.torch import torch_runtime
from bcnn_prune.deployment.layer_profile import random_pixels
from bcnn_prune.deployment.registry import VARIANTS
from bcnn_prune.deployment.runtime import Opener, Runtime
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.evaluation.cpu_load import describe_load
from bcnn_prune.evaluation.isolated_latency import Network, OpenNetwork, sampled_apart
from bcnn_prune.model.checkpoint import CheckpointInfo, load
from bcnn_prune.model.init import fresh
from bcnn_prune.pruning.surgery import silenced
from bcnn_prune.records.deploy import ORIGINAL
from bcnn_prune.records.latency import DENSE, SILENCED, Times, Timing
from data_prep.write import Report
from experiments.run.isolated import run_module_isolated

BATCHES = (1, 8)
"""Images of a forward pass: what a device sees, and what a server gathers."""


def check_rounds(rounds: Sequence[int]) -> None:
    """Raise ValueError for counts that time nothing."""
    at_least(0, rounds=rounds)
    if not any(rounds):
        raise ValueError(
            f"--rounds is {' '.join(map(str, rounds))}: take one count for batch {BATCHES[0]} and one for batch "
            f"{BATCHES[1]}, 0 to leave one of them out"
        )


def measure(
    checkpoint: Path, folder: Path, variants: Sequence[str], rounds: Sequence[int], threads: int, report: Report
) -> Times:
    """Time these variants, whose files lie in `folder`, the dense network and, where it was pruned, the silenced one.

    `rounds` are those for each of BATCHES. Raises LatencyError for a runtime that fails."""
    _, info = load(checkpoint)
    ways: dict[str, OpenNetwork] = {DENSE: partial(_dense, checkpoint, threads)}
    if info.unpruned != info.card.spec:
        ways[SILENCED] = partial(_silenced, checkpoint, threads)
    for name in variants:
        file = VARIANTS[name].file
        ways[name] = partial(opened, VARIANTS[name].open, checkpoint if file is None else folder / file, threads)
    counts = {batch: count for batch, count in zip(BATCHES, rounds, strict=True) if count}

    def on_round(batch: int, done: int) -> None:
        report(f"timing, batch {batch}", done, counts[batch])

    printed = run_module_isolated("run.matmul_peak", "cpu", "fp32", label="matrix product", threads=threads)
    peak = json.loads(printed)["fp32"]
    samples = sampled_apart(ways, counts, threads, report=on_round)
    timings = {
        way: tuple(Timing(macs(way, info), batch.latency(way), batch.speed_up(way, to=DENSE)) for batch in samples)
        for way in ways
    }
    return Times(float(f"{peak:.5g}"), timings)


def macs(way: str, info: CheckpointInfo) -> int:
    """Multiply-adds of one image: all variants but the original are folded."""
    spec = info.unpruned if way in (DENSE, SILENCED) else info.card.spec
    return total_cost(spec, info.card.side, folded=way not in (DENSE, SILENCED, ORIGINAL)).macs


def table(times: Times, title: str) -> Table:
    """One row per runtime, with median and quartiles."""
    latencies = [timing.latency for timing in times.ways[DENSE]]
    shown = Table(title=title)
    shown.add_column("way")
    for latency in latencies:
        heads = (f"batch {latency.batch}: ms [quartiles]", f"× dense [{latency.rounds} rounds]", "of peak")
        for head in heads:
            shown.add_column(head, justify="right")
    for way, timings in times.ways.items():
        cells = []
        for timing in timings:
            ms, ratio = timing.latency, timing.speed_up
            cells += [
                f"{ms.median_ms:.2f} [{ms.lower_quartile_ms:.2f}-{ms.upper_quartile_ms:.2f}]",
                f"{ratio.median:.2f} [{ratio.lower_quartile:.2f}-{ratio.upper_quartile:.2f}]",
                f"{times.share_of_peak(timing):.0%}",
            ]
        shown.add_row(way, *cells)
    shown.caption = (
        f"× dense: than the unpruned network, eager, in the same rounds; {latencies[0].threads} threads; "
        f"{describe_load(latency.load for latency in latencies)}; of peak: {times.peak_gflops:,.0f} GFLOP/s of "
        "the fastest fp32 matrix product, for bf16 and int8 too"
    )
    return shown


# ---- In the process that is timed


def opened(opener: Opener, path: Path, threads: int) -> Network:
    """A file in its runtime, to pass random pixels."""
    model = opener(path, threads)
    return _with_pixels(model.run, model.card.side)


def _dense(checkpoint: Path, threads: int) -> Network:
    """Fresh weights: a checkpoint of a pruned network has none of the others, and time does not depend on them."""
    _, info = load(checkpoint)
    network = fresh(info.unpruned, torch.Generator().manual_seed(0)).eval()
    return _with_pixels(torch_runtime(network, info.card, threads), info.card.side)


def _silenced(checkpoint: Path, threads: int) -> Network:
    """A network of the unpruned shape with the dropped channels at zero; fresh weights, as for the dense one."""
    _, info = load(checkpoint)
    network = silenced(fresh(info.unpruned, torch.Generator().manual_seed(0)).eval(), info.plan)
    return _with_pixels(torch_runtime(network, info.card, threads), info.card.side)


def _with_pixels(run: Runtime, side: int) -> Network:
    return lambda batch: partial(run, random_pixels(side, batch))
