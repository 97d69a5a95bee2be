"""What every flow does after its last cut: the control, the measurements, and the files and the table they end in."""

import copy
import hashlib
from pathlib import Path

from rich.table import Table

from bcnn_prune.evaluation.accuracy import evaluate
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.evaluation.latency import timed_in_turn
from bcnn_prune.files import replacing, taking_turns, write_text
from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.model.weights import CheckpointInfo, save
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.protocol import trained
from bcnn_prune.pruning.sparsity import scales
from bcnn_prune.records import Cost, Evaluation, Latency, PruneStep, RunRecord, to_json
from experiments.provenance import provenance
from experiments.start import Start
from thesis_figures import gamma, style


def finish(start: Start, experiment: str, model: BilinearCNN, steps: tuple[PruneStep, ...]) -> RunRecord:
    """Train the control, evaluate, time, and write record, checkpoint and γ figure to <out>/<experiment>/<set>/<name>.

    `model` is the network after the last of `steps`."""
    settings, bench, info, spec = start.settings, start.bench, start.info, start.sparse.spec
    training, control = dict(start.training), None
    if settings.control:
        tuned, training["control"] = trained(bench, "control", start.sparse, start.recipes.fine_tune)
        control = evaluate(tuned, bench.test)
    record = RunRecord(
        experiment=experiment,
        settings={**settings.plain(), "width": start.recipes.width, "weights": _told(start.recipes.weights)},
        seed=settings.seed,
        data=info,
        spec=spec,
        cost=total_cost(spec, info.side),
        recipes={"dense": start.recipes.dense, "sparse": start.recipes.sparse, "fine-tune": start.recipes.fine_tune},
        training=training,
        dense=evaluate(start.dense, bench.test),
        sparse=evaluate(start.sparse, bench.test),
        control=control,
        scales={
            layer: tuple(float(f"{value:.6g}") for value in values.tolist())
            for layer, values in scales(start.sparse).items()
        },
        steps=steps,
        latency=timed_in_turn(
            {"dense": copy.deepcopy(start.dense).cpu(), "pruned": copy.deepcopy(model).cpu()}, info.side
        ),
        provenance=provenance(model.device, bench.autocast),
    )
    folder = settings.out / experiment / info.name / settings.name()
    plan = ChannelPlan.keep_all(spec)
    for step in steps:
        plan = plan.then(step.plan)
    about = CheckpointInfo(model.spec, plan, info.class_names, info.name, info.side)
    with taking_turns(folder, lambda: bench.watch.waiting(folder)):
        save(folder / "model.safetensors", model, about)
        with replacing(folder / "gamma.png") as partial:
            style.write(gamma.draw(record), partial)
        write_text(folder / "record.json", to_json(record))
    start.console.print(summary(record))
    start.console.print(f"Written to {folder}: record.json, model.safetensors, gamma.png")
    return record


def _told(weights: str) -> str:
    """imagenet or none as they are; of a file its name and checksum, for where it lies means nothing elsewhere."""
    if weights in ("imagenet", "none"):
        return weights
    return f"{Path(weights).name} sha256 {hashlib.sha256(Path(weights).read_bytes()).hexdigest()[:16]}"


def summary(record: RunRecord) -> Table:
    """The run as one table: every network that was evaluated, on the same test images."""
    step = record.steps[-1]
    threads = record.latency["dense"].threads
    table = Table(title=f"{record.experiment} on {record.data.name}, seed {record.seed}")
    table.add_column("network")
    for column in ("test accuracy", "correct", "parameters", "M multiply-adds", f"CPU ms, batch 1, {threads} threads"):
        table.add_column(column, justify="right")

    def row(name: str, found: Evaluation | None, cost: Cost, latency: Latency | None = None) -> None:
        if found is None:
            return
        share = f" ({cost.params / record.cost.params:.0%})" if cost != record.cost else ""
        time = (
            ""
            if latency is None
            else f"{latency.median_ms:.2f} [{latency.lower_quartile_ms:.2f}-{latency.upper_quartile_ms:.2f}]"
        )
        counts, macs = f"{found.correct}/{found.images}", f"{cost.macs / 1e6:,.1f}"
        table.add_row(name, f"{found.accuracy:.4f}", counts, f"{cost.params:,}{share}", macs, time)

    row("dense", record.dense, record.cost, record.latency["dense"])
    row("sparse", record.sparse, record.cost)
    row("control: sparse, fine-tuned, not pruned", record.control, record.cost)
    row("pruned: rebuilt", step.rebuilt, step.cost)
    row("pruned: BN statistics recomputed", step.recalibrated, step.cost)
    row("pruned: fine-tuned", step.fine_tuned, step.cost, record.latency["pruned"])
    ratio = record.latency["dense"].median_ms / record.latency["pruned"].median_ms
    table.caption = (
        f"{step.spec.channels:,} of {record.spec.channels:,} channels stay; the pruned network is {ratio:.2f} times as "
        f"fast on this CPU (median and quartiles of {record.latency['dense'].rounds} alternating passes); "
        f"rebuilt = silenced to {max(s.certificate for s in record.steps):.0e}"
    )
    return table
