"""One tidy frame of the records, a row per network of a run: tables filter and group it."""

from collections.abc import Iterable, Iterator

import pandas as pd

from bcnn_prune.records import Cost, Evaluation, History, PruneStep, RunRecord
from thesis_figures.analysis.runs import over_seeds, set_of, share_cut, sweep_rates

RUN = ["group", "record", "data_set", "family", "seed"]
NETWORK = ["network", "step", "rate"]
MEASURED = ["accuracy_percent", "rebuilt_percent", "absorbed_percent", "recalibrated_percent"]
VAL = ["val_percent", "dense_val_percent"]
DERIVED = ["change_points", "cpu_speed_up", "params", "share_of_dense", "gmacs"]


def networks(records: Iterable[RunRecord]) -> pd.DataFrame:
    """A row per network of a run; runs that differ in their seed alone have one number `group`.

    A network is one of `RunRecord.test`, "pruned" (a row per step, from 1) or "swept" (a row per rate). Accuracies are
    on test; those on val are of the checkpoint that was kept, for soft pruning the one before the cut. `change_points`
    is relative to the control of the same run; for networks trained from scratch, to its pruned network. Cells without
    a measurement are missing."""
    rows = (
        {"group": group, "record": run, "data_set": set_of(run), "family": run.data.family, "seed": run.seed} | row
        for group, runs in enumerate(over_seeds(records))
        for run in runs
        for row in _rows(run)
    )
    return pd.DataFrame(rows, columns=RUN + NETWORK + MEASURED + VAL + DERIVED)


def _rows(run: RunRecord) -> Iterator[dict[str, object]]:
    for network, tested in run.test.items():
        row: dict[str, object] = {"network": network, "step": 0, "rate": 0.0, "accuracy_percent": _percent(tested)}
        if network.startswith("scratch"):
            last = run.steps[-1]
            yield row | _sizes(last.cost, run) | {"change_points": _change(tested, last.final)}
        else:
            yield row | _sizes(run.cost, run)
    for i, step in enumerate(run.steps):
        row = {"network": "pruned", "step": i + 1, "rate": share_cut(run, i), "accuracy_percent": _percent(step.final)}
        if step is run.steps[-1]:  # the control and the latency are of the last network alone
            row["change_points"] = _change(step.final, run.test.get("control"))
            if pruned := run.latency.get("pruned"):
                row["cpu_speed_up"] = run.latency["dense"].median_ms / pruned.median_ms
        tuning = run.training.get("soft") if run.experiment == "soft" else step.fine_tuning
        row |= {"val_percent": _val(tuning), "dense_val_percent": _val(run.training.get("dense"))}
        yield row | _step(step, run)
    for i, (rate, step) in enumerate(zip(sweep_rates(run), run.sweep, strict=True), 1):
        yield {"network": "swept", "step": i, "rate": rate} | _step(step, run)


def _step(step: PruneStep, run: RunRecord) -> dict[str, object]:
    return {
        "rebuilt_percent": _percent(step.rebuilt),
        "absorbed_percent": _percent(step.absorbed),
        "recalibrated_percent": _percent(step.recalibrated),
        **_sizes(step.cost, run),
    }


def _sizes(cost: Cost, run: RunRecord) -> dict[str, object]:
    return {"params": cost.params, "share_of_dense": cost.params / run.cost.params, "gmacs": cost.macs / 1e9}


def _percent(tested: Evaluation | None) -> float | None:
    return None if tested is None else 100 * tested.accuracy


def _val(history: History | None) -> float | None:
    return _percent(history.kept.val) if history else None


def _change(tested: Evaluation, base: Evaluation | None) -> float | None:
    return None if base is None else 100 * (tested.accuracy - base.accuracy)
