"""The records that tables and figures are made of: read, checked, and runs that differ in their seed put together."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.records import Evaluation, History, Recipe, RunRecord, deploy, read_record

Runs = tuple[RunRecord, ...]
"""Runs of the same settings, one a seed."""


OWN = "record.json"
PLACES = ("*/*/*.json", f"*/*/*/{OWN}")
"""Where records are in a folder of results, and in the one that runs write all their files to."""
NO_RUNS = (deploy.FOLDER, "phases", "runtimes")
"""Folders beside those of the flows."""


def looked_at(results: Path) -> str:
    """The places in which `read` looks, in words."""
    return f"{results}/<experiment>/<set>/<name>.json or …/<name>/{OWN}"


def read(results: Path) -> list[RunRecord]:
    """All records of a folder that flows wrote to, by --results or as --out, in the order of their paths.

    A record that both put there is read once; reports of deploying are left to `deployed`.

    Raises ValueError that names a file which is no record, or whose stored cost is not that of its stored widths."""
    if not results.is_dir():
        raise ValueError(f"{results} is no folder: name the one that holds the records with --results")
    records = []
    for path in sorted(found for places in PLACES for found in results.glob(places)):
        told_twice = path.name == OWN and path.parent.with_name(f"{path.parent.name}.json").exists()
        if told_twice or path.relative_to(results).parts[0] in NO_RUNS:
            continue
        record = read_record(path)
        _require_consistent(record, path)
        records.append(record)
    return records


def is_heavier(record: RunRecord) -> bool:
    """Whether the last BN had a penalty of its own (thesis table 4.7)."""
    return record.settings.get("last_sparsity") is not None


def share_cut(record: RunRecord, step: int = -1) -> float:
    """Share of all channels that a run's cuts up to that one took; 0 for a run without cuts.

    It is what the run was told; where widths were rounded up, or a budget was met, what the cuts came to."""
    if not record.steps:
        return 0.0
    asked, cuts = record.settings.get("prune"), len(record.steps)
    if asked is None or record.settings.get("multiple", 1) != 1:
        return round(1 - record.steps[step].spec.channels / record.spec.channels, 6)
    return round(float(asked) * (step % cuts + 1) / cuts, 6)


def sweep_rates(record: RunRecord) -> tuple[float, ...]:
    """The share of all channels that each cut of a sweep was told to take; none for a run without a sweep."""
    told = tuple(map(float, str(record.settings["rates"]).split("+"))) if record.experiment == "sweep" else ()
    if len(told) != len(record.sweep):
        raise ValueError(
            f"the sweep of {record.data.name}, seed {record.seed}, names {len(told)} rates and has {len(record.sweep)}"
        )
    return told


FLOWS: dict[str, Callable[[RunRecord], bool]] = {
    "one-shot": lambda record: record.experiment == "oneshot" and not is_heavier(record),
    "one-shot, heavier last penalty": lambda record: record.experiment == "oneshot" and is_heavier(record),
    "iterative": lambda record: record.experiment == "iterative" and len(record.steps) > 1,
    "one cut, trained as long": lambda record: record.experiment == "iterative" and len(record.steps) == 1,
    "soft": lambda record: record.experiment == "soft",
}
"""The pruning flows that are compared, and which records are of each."""


FOLLOWING = ("scratch-compute",)
"""Phases whose epochs follow from what the cut of a seed saves, and so differ from seed to seed."""


def told_recipes(record: RunRecord) -> dict[str, Recipe]:
    """The recipes without what follows from a run's own cut: in these, seeds of the same settings agree."""
    return {
        phase: replace(recipe, epochs=1) if phase in FOLLOWING else recipe for phase, recipe in record.recipes.items()
    }


def over_seeds(records: Iterable[RunRecord]) -> list[Runs]:
    """The records grouped by experiment, data and settings but for the seed, each group in the order of its seeds.

    Raises ValueError for two runs of one seed: neither can stand for it."""
    groups: dict[tuple[object, ...], list[RunRecord]] = {}
    for record in records:
        told = tuple(sorted((name, value) for name, value in record.settings.items() if name != "seed"))
        key = (record.experiment, record.data.name, record.data.digest, repr(told), repr(told_recipes(record)))
        groups.setdefault(key, []).append(record)
    for runs in groups.values():
        runs.sort(key=lambda record: record.seed)
        if len({record.seed for record in runs}) < len(runs):
            raise ValueError(
                f"two records of {runs[0].experiment} on {runs[0].data.name} tell of the same settings and seed"
            )
    return [tuple(runs) for runs in groups.values()]


def known_first(found: Iterable[str], known: Iterable[str]) -> list[str]:
    """What was found, each once: names that are known in their order, and after them, by name, those that are not.

    Figures show all that records hold; a list of known names says in which order and under which label."""
    order = list(known)
    return sorted(set(found), key=lambda name: (order.index(name) if name in order else len(order), name))


def tested(records: Iterable[RunRecord], network: str) -> list[list[Evaluation]]:
    """Test counts of a network that was not cut, seed by seed: one, or as many as were trained apart, on two machines.

    One that is in several records was trained once, and counts once."""
    by_seed: dict[int, set[tuple[History, Evaluation]]] = {}
    for record in records:
        if network in record.test:
            trained = record.training[network].without_clock()
            by_seed.setdefault(record.seed, set()).add((trained, record.test[network]))
    return [[found for _, found in of_seed] for of_seed in by_seed.values()]


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over n runs; the deviation (n - 1) is None where there is one."""

    mean: float
    deviation: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


def over(values: Iterable[float]) -> Spread | None:
    """Their mean and deviation; None of none."""
    values = list(values)
    return Spread.of(values) if values else None


def _require_consistent(record: RunRecord, path: Path) -> None:
    shapes = [("the unpruned network", record.spec, record.cost)]
    shapes += [(f"step {i}", step.spec, step.cost) for i, step in enumerate(record.steps, 1)]
    shapes += [(f"rate {i} of the sweep", step.spec, step.cost) for i, step in enumerate(record.sweep, 1)]
    for name, spec, cost in shapes:
        if (counted := total_cost(spec, record.data.side)) != cost:
            raise ValueError(
                f"{path}: the widths of {name} give {counted.params:,} parameters and {counted.macs:,} multiply-adds, "
                f"the record says {cost.params:,} and {cost.macs:,}"
            )
