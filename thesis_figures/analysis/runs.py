"""The records that tables and figures are made of: read, checked, and runs that differ in their seed put together."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.records import RECORD, Evaluation, History, Recipe, RunRecord, deploy, read_record, timm_network
from bcnn_prune.records.compared import agree

Runs = tuple[RunRecord, ...]
"""Runs of the same settings, one per seed."""


PLACES = ("*/*/*.json", f"*/*/*/{RECORD}")
"""Path patterns of records in a folder of results, and in a folder of all files of runs."""
DRAWN, REAL, SCRATCH = "drawn", "real", "real-scratch"
"""Kinds of runs, by their name in those of figures."""
NO_RUNS = (deploy.FOLDER, timm_network.FOLDER, "phases", "runtimes")
"""Folders beside those of the flows."""


def search_places(results: Path) -> str:
    """The path patterns that `read` searches, in words."""
    return f"{results}/<experiment>/<set>/<name>.json or …/<name>/{RECORD}"


def read(results: Path) -> dict[Path, RunRecord]:
    """All records of a folder that flows wrote to, by --results or as --out, by path and in the order of paths.

    A record that both put there is read once; reports of deploying are left to `deployed`.

    Raises ValueError that names a file which is no record, or whose stored cost is not that of its stored widths."""
    records = {}
    for path in paths(results):
        records[path] = read_record(path)
        _require_consistent(records[path], path)
    return records


def paths(results: Path) -> list[Path]:
    """The files that `read` reads, in order."""
    if not results.is_dir():
        raise ValueError(f"{results} is no folder: name the one that holds the records with --results")

    def is_copy(path: Path) -> bool:
        return path.name == RECORD and path.parent.with_name(f"{path.parent.name}.json").exists()

    found = sorted(path for pattern in PLACES for path in results.glob(pattern))
    return [path for path in found if not is_copy(path) and path.relative_to(results).parts[0] not in NO_RUNS]


def kind_of(record: RunRecord) -> str:
    """The kind of runs that a run is shown with: on synthetic sets, on photographs, or on photographs from scratch."""
    if record.data.kind == "synthetic":
        return DRAWN
    # The course documents' networks start from fresh weights, but for one whose classifier is trained first.
    course = record.is_exercise and "classifier" not in record.training
    return SCRATCH if course or record.settings.get("weights") == "none" else REAL


def set_of(record: RunRecord) -> str:
    """The name of a run's data set in figures and tables: runs from random weights stand apart on photographs."""
    return f"{record.data.name} from scratch" if kind_of(record) == SCRATCH else record.data.name


def is_heavier(record: RunRecord) -> bool:
    """True where the last BN had an L1 strength of its own (thesis table 4.7)."""
    return record.settings.get("last_sparsity") is not None


def share_cut(record: RunRecord, step: int = -1) -> float:
    """Share of all channels removed by the cuts of a run up to and including `step`; 0 for a run without cuts.

    It is the share requested in the settings or, where widths were rounded up or a budget decided, the measured one."""
    if not record.steps:
        return 0.0
    requested, cuts = record.settings.get("prune"), len(record.steps)
    if requested is None or record.settings.get("multiple", 1) != 1:
        return round(1 - record.steps[step].spec.channels / record.spec.channels, 6)
    return round(float(requested) * (step % cuts + 1) / cuts, 6)


def sweep_rates(record: RunRecord) -> tuple[float, ...]:
    """The requested share of all channels of each cut of a sweep; empty for a run without a sweep."""
    rates = tuple(map(float, str(record.settings["rates"]).split("+"))) if record.experiment == "sweep" else ()
    if len(rates) != len(record.sweep):
        raise ValueError(
            f"the sweep of {record.data.name}, seed {record.seed}, names {len(rates)} rates and has {len(record.sweep)}"
        )
    return rates


FLOWS: dict[str, Callable[[RunRecord], bool]] = {
    "one-shot": lambda record: record.experiment == "oneshot" and not is_heavier(record),
    "one-shot, heavier last penalty": lambda record: record.experiment == "oneshot" and is_heavier(record),
    "iterative": lambda record: record.experiment == "iterative" and len(record.steps) > 1,
    "one cut, trained as long": lambda record: record.experiment == "iterative" and len(record.steps) == 1,
    "soft": lambda record: record.experiment == "soft",
}
"""The pruning flows that are compared, each with the test that its records pass."""


def flow_of(record: RunRecord) -> str | None:
    """The pruning flow of a run, with its rule and allocation where they are not the thesis', and distillation where
    there is some: a line of its own in figures. None for a run of no flow."""
    flow = next((flow for flow, belongs in FLOWS.items() if belongs(record)), None)
    if flow is None:
        return None
    told, usual = record.settings, {"rule": "thesis", "allocation": "ranking"}
    by = [str(told[name]) for name, thesis in usual.items() if told.get(name, thesis) != thesis]
    return ", ".join([flow, *by]) + (" + distillation" if told.get("distil") else "")


FOLLOWING = ("scratch-compute",)
"""Phases whose epochs follow from what the cut of a seed saves, and so differ from seed to seed."""


def shared_recipes(record: RunRecord) -> dict[str, Recipe]:
    """The recipes without the numbers that follow from the cut of a seed: equal for all seeds of the same settings."""
    return {
        phase: replace(recipe, epochs=1) if phase in FOLLOWING else recipe for phase, recipe in record.recipes.items()
    }


def over_seeds(records: Iterable[RunRecord]) -> list[Runs]:
    """The records grouped by experiment, data and settings but for the seed, each group in the order of its seeds.

    Raises ValueError for two runs of the same settings and seed."""
    groups: dict[tuple[object, ...], list[RunRecord]] = {}
    for record in records:
        settings = tuple(sorted((name, value) for name, value in record.settings.items() if name != "seed"))
        key = (record.experiment, record.data.name, record.data.digest, repr(settings), repr(shared_recipes(record)))
        groups.setdefault(key, []).append(record)
    for runs in groups.values():
        runs.sort(key=lambda record: record.seed)
        if len({record.seed for record in runs}) < len(runs):
            raise ValueError(
                f"two records of {runs[0].experiment} on {runs[0].data.name} have the same settings and seed"
            )
    return [tuple(runs) for runs in groups.values()]


def differences(settings: Sequence[tuple[Mapping[str, object], ...]]) -> list[str]:
    """What tells each from the others, in words: by the first mapping alone if that is enough; empty for a single
    one."""
    labels = [""] * len(settings)
    for layer in zip(*settings, strict=True):
        if len(set(labels)) == len(labels):
            break
        names = [n for n in dict.fromkeys(chain(*layer)) if len({repr(values.get(n)) for values in layer}) > 1]
        more = [", ".join(f"{name} {values.get(name)}" for name in names) for values in layer]
        labels = [", ".join(filter(None, pair)) for pair in zip(labels, more, strict=True)]
    return labels


def known_first(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The names without duplicates: known ones in the order of `known`, then the others alphabetically.

    Figures and tables show all that records hold; lists of known names give order and labels."""
    order = list(known)
    return sorted(set(names), key=lambda name: (order.index(name) if name in order else len(order), name))


def tested(records: Iterable[RunRecord], network: str) -> list[list[Evaluation]]:
    """Test counts of an unpruned network by seed: several where a seed was trained on several machines.

    A network that several records hold was trained once, and counts once."""
    by_seed: dict[int, set[tuple[History, Evaluation]]] = {}
    for record in records:
        if network in record.test:
            trained = record.training[network].without_clock()
            by_seed.setdefault(record.seed, set()).add((trained, record.test[network]))
    return [[evaluation for _, evaluation in of_seed] for of_seed in by_seed.values()]


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over n runs; the deviation (n - 1) is None for n = 1."""

    mean: float
    deviation: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


def over(values: Iterable[float]) -> Spread | None:
    """Their mean and deviation; None for no values."""
    values = list(values)
    return Spread.of(values) if values else None


def _require_consistent(record: RunRecord, path: Path) -> None:
    shapes = [("the unpruned network", record.spec, record.cost)]
    shapes += [(f"step {i}", step.spec, step.cost) for i, step in enumerate(record.steps, 1)]
    shapes += [(f"rate {i} of the sweep", step.spec, step.cost) for i, step in enumerate(record.sweep, 1)]
    shapes += [(f"{one.selection} at {one.budget}", one.spec, one.cost) for one in record.compared]
    for name, spec, cost in shapes:
        if (counted := total_cost(spec, record.data.side)) != cost:
            raise ValueError(
                f"{path}: the widths of {name} give {counted.params:,} parameters and {counted.macs:,} multiply-adds, "
                f"the record says {cost.params:,} and {cost.macs:,}"
            )
    for phase, history in record.training.items():
        if not 0 < history.kept_epoch <= len(history.epochs):
            raise ValueError(f"{path}: {phase} keeps epoch {history.kept_epoch} of {len(history.epochs)}")
    for names, without in ((record.correct, record.test), (record.test, record.training)):
        if missing := [name for name in names if name not in without]:
            raise ValueError(f"{path}: of the network {missing[0]} there are counts, and no test or training")
    matrices = [(name, matrix, record.test.get(name)) for name, matrix in record.confusion.items()]
    matrices += [(f"step {i}", step.confusion, step.final) for i, step in enumerate(record.steps, 1) if step.confusion]
    for name, matrix, tested in matrices:
        if matrix.evaluation != tested or max(*matrix.true, *matrix.predicted) >= record.data.classes:
            raise ValueError(f"{path}: the confusion matrix of {name} is not one of {tested} and its classes")
    answers = [(name, bits, record.test[name]) for name, bits in record.correct.items()]
    answers += [(one.selection, one.correct, one.test) for one in record.compared]
    for name, bits, found in answers:
        if not agree(bits, found):
            raise ValueError(f"{path}: the correct images of {name} are not those of {found}")
