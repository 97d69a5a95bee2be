"""Every figure by the name of its file, as something to call: names are known before anything is drawn."""

from collections.abc import Callable
from functools import partial

from matplotlib.figure import Figure

from bcnn_prune.records import RunRecord
from bcnn_prune.records.file_latency import FileTimes
from thesis_figures.analysis import equal_cost as analysis
from thesis_figures.analysis import exercises as course
from thesis_figures.analysis import sets
from thesis_figures.figures import (
    comparisons,
    compression,
    equal_cost,
    exercises,
    fine_tuning,
    gamma,
    network_latency,
    proxy,
    pruning_lines,
    ridge,
    runtimes,
    sensitivity,
    sweep,
    tradeoff,
    widths,
    zeroing,
)
from thesis_figures.figures.samples import SAMPLES
from thesis_figures.load import Measured
from thesis_figures.schematics import SCHEMATICS, method

Draw = Callable[[], Figure]
PANELS: dict[str, tuple[Callable[[sets.Sets], Figure], tuple[str, ...]]] = {
    "scratch-and-criteria": (comparisons.draw, ("criteria", "scratch")),
    "widths": (widths.draw, ("oneshot",)),
    "zeroing": (zeroing.draw, ("soft",)),
    "sweep": (sweep.draw, ("sweep",)),
    "sensitivity": (sensitivity.draw, ("sensitivity",)),
    "proxy": (proxy.draw, ("proxy",)),
}
"""Figures with a panel per data set, by name, and the experiments of which any set has to have records."""
DEMO = "drawn-cars"
"""The set of the README's demo."""


def figures(measured: Measured) -> dict[str, Draw]:
    """The schematics, and each figure that there are measurements for."""
    draws: dict[str, Draw] = {"method": method.draw, **SCHEMATICS}
    if measured.samples is not None:
        draws |= {name: partial(draw, measured.samples) for name, draw in SAMPLES.items()}
    if demo := next(filter(_is_demo, measured.records), None):
        draws[f"gamma-{DEMO}"] = partial(gamma.draw, demo)
    draws |= {f"figure-cpu-time-batch{times.batch}": partial(network_latency.draw, times) for times in measured.times}
    if any(network.multiple == 1 for record in measured.runtimes for network in record.networks):
        draws["figure-runtimes"] = partial(runtimes.draw, measured.runtimes)
    for part in course.PARTS:
        found = course.trained(measured.records, part)
        if any(len(networks) > 1 for networks in found.values()):  # one alone compares nothing
            draws[f"figure-exercises-{part}"] = partial(exercises.draw, found, measured.files)
        draws |= {f"figure-training-{part}-{label}": partial(exercises.curves, found[label]) for label in found}
    for kind, shown in sets.by_kind(measured.records).items():
        draws |= _of_kind(kind, shown, measured.files)
        for label, runs in shown.items():
            if ridge.comparable(runs):
                draws[f"figure-ridge-{label.replace(',', '').replace(' ', '-')}"] = partial(ridge.draw, label, runs)
    return draws


def _of_kind(kind: str, shown: sets.Sets, files: FileTimes | None) -> dict[str, Draw]:
    draws: dict[str, Draw] = {}
    if networks := {label: runs for label in shown if (runs := sets.sparse_networks(shown[label]))}:
        draws[f"figure-4.2-gamma-{kind}"] = partial(gamma.draw_sets, networks)
    if flows := sets.having(shown, "oneshot", "iterative", "soft"):
        for name, quantity in tradeoff.QUANTITIES.items():
            if not any(quantity.of_steps(run) for runs in flows.values() for run in runs):
                continue  # none of these networks was timed
            draws[f"figure-tradeoff-{kind}-{name}"] = partial(tradeoff.draw, flows, quantity)
    for name, (draw, experiments) in PANELS.items():
        if having := sets.having(shown, *experiments):
            draws[f"figure-{name}-{kind}"] = partial(draw, having)
    if lines := {label: runs for label, runs in shown.items() if pruning_lines.lines(runs)}:
        of_several = {label: runs for label, runs in lines.items() if len(runs) > 1}  # one run is hardly a line
        draws[f"figure-pruning-lines-{kind}"] = partial(pruning_lines.draw, of_several or lines)
    if compressed := sets.having(shown, "compress"):
        draws[f"figure-compression-{kind}"] = partial(compression.draw, compressed, files)
    if compared := sets.having(shown, "equal_cost"):
        draws |= _at_equal_time(kind, compared)
        by_macs = {label: analysis.of_one_base(runs) for label, runs in compared.items()}
        budgets = sorted({budget for found in by_macs.values() for one in found for budget in one.budgets})
        over_budgets = {
            label: compared[label] for label, found in by_macs.items() if any(len(one.budgets) > 1 for one in found)
        }
        costs = {**equal_cost.QUANTITIES, **({"cpu-time": equal_cost.cpu_time(files)} if files else {})}
        for name, cost in costs.items() if over_budgets else ():
            draws[f"figure-equal-cost-{kind}-{name}"] = partial(equal_cost.draw, over_budgets, cost)
        for budget in budgets:
            having = {label: runs for label, runs in compared.items() if analysis.by_tuning(runs, budget)}
            draws[f"figure-equal-cost-{kind}-{100 * budget:g}"] = partial(equal_cost.at_budget, having, budget)
            draws[f"figure-allocation-{kind}-{100 * budget:g}"] = partial(equal_cost.allocation, having, budget)
            if tuned := {label: runs for label, runs in compared.items() if fine_tuning.differ(runs, budget)}:
                draws[f"figure-fine-tuning-{kind}-{100 * budget:g}"] = partial(fine_tuning.draw, tuned, budget)
    return draws


def _at_equal_time(kind: str, compared: sets.Sets) -> dict[str, Draw]:
    """A figure for each budget of milliseconds, of the sets that have it."""
    having: dict[float, dict[str, list[RunRecord]]] = {}
    for label, runs in compared.items():
        found = analysis.of_one_base(runs, "milliseconds")
        for budget in {budget for one in found for budget in one.budgets}:
            having.setdefault(budget, {})[label] = runs
    return {
        f"figure-equal-cost-{kind}-{100 * budget:g}-ms": partial(equal_cost.at_budget, shown, budget, "milliseconds")
        for budget, shown in having.items()
    }


def _is_demo(record: RunRecord) -> bool:
    return record.experiment == "oneshot" and record.data.name == DEMO and bool(record.scales)
