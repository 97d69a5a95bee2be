"""Networks that were made small by different methods, over seeds."""

from collections.abc import Iterable
from dataclasses import dataclass

from bcnn_prune.records import Evaluation, PackedNetwork, PruneStep, RunRecord
from bcnn_prune.records.file_latency import Shape
from thesis_figures.analysis.equal_cost import DISTILLED
from thesis_figures.analysis.runs import Runs, differences, over_seeds

EXPERIMENT = "compress"
METHODS = {
    "prune": "channels pruned",
    "width": "narrower, from the start",
    "distil": "narrower, distilled",
    "low_rank": "low rank",
    "separable": "separable",
    "grouped": "grouped",
    "reduced": "1 × 1 in front",
    "sparse": "single weights pruned",
}
SPARSE = "sparse"
"""The method that keeps as large a share of its weights as a budget is of the multiply-adds."""
LIMITS = {"keep_macs": "of the multiply-adds", "max_macs": "multiply-adds", "max_params": "parameters"}


@dataclass(frozen=True)
class Method:
    """One method within one budget, by seed."""

    runs: Runs

    @property
    def name(self) -> str:
        """The method, its student, its teacher, and the epochs before and after a cut and the rate after it where they
        are not the recipe's, in words."""
        told = self.runs[0].settings
        name = str(told["method"])
        student = f" ({told['student']})" if told.get("student") else ""
        epochs = [str(told[phase]) for phase in ("sparse_epochs", "fine_tune_epochs") if told.get(phase) is not None]
        trained = f", {' + '.join(epochs)} epochs" if epochs else ""
        trained += f", rate {told['fine_tune_rate']:g}" if told.get("fine_tune_rate") else ""
        return METHODS.get(name, name) + student + DISTILLED * bool(told.get("distil") and name != "distil") + trained

    @property
    def place(self) -> tuple[bool, int, str]:
        """Order among others: that of METHODS, then of their names; with distillation last."""
        order, name = list(METHODS), str(self.runs[0].settings["method"])
        return DISTILLED in self.name, order.index(name) if name in order else len(order), self.name

    @property
    def budget(self) -> str:
        """The budget in words."""
        told = self.runs[0].settings
        (name, limit), *_ = ((name, told[name]) for name in LIMITS if told.get(name) is not None)
        if not isinstance(limit, float):
            return f"{limit} {LIMITS[name]}"
        return f"{100 * limit:g} % {LIMITS[name] if told['method'] != SPARSE else 'of the weights'}"

    @property
    def beside_budget(self) -> dict[str, object]:
        """The settings but for the budget, the seed and the set."""
        left_out = (*LIMITS, "seed", "dataset", "classes")
        return {name: value for name, value in self.runs[0].settings.items() if name not in left_out}

    @property
    def steps(self) -> list[PruneStep]:
        """The network of each seed."""
        return [record.steps[-1] for record in self.runs]

    @property
    def shapes(self) -> list[Shape]:
        """Image side and network of each seed, by which files were timed."""
        return [(run.data.side, step.spec) for run, step in zip(self.runs, self.steps, strict=True)]

    @property
    def tested(self) -> list[Evaluation]:
        """Test counts of each seed's network."""
        return [step.final for step in self.steps]

    def packed(self, bits: int) -> list[PackedNetwork]:
        """Each seed's network in weights of so many bits, as far as it was stored."""
        return [one for step in self.steps for one in step.packed if one.bits == bits]


def methods(records: Iterable[RunRecord]) -> list[Method]:
    """Methods in the order of METHODS, each from its largest network to its smallest."""
    found = map(Method, over_seeds(record for record in records if record.experiment == EXPERIMENT))

    def place(method: Method) -> tuple[bool, int, str, float, int]:
        step, limit = method.steps[0], method.runs[0].settings.get("keep_macs")
        share = limit if isinstance(limit, float) else step.cost.macs / method.runs[0].cost.macs
        return *method.place, -share, -step.cost.params

    return sorted(found, key=place)


def without_other_rates(records: Iterable[RunRecord]) -> list[RunRecord]:
    """The records but those of compression at another rate than the recipe's; all, where none is at that."""
    records = list(records)
    made_small = [record for record in records if record.experiment == EXPERIMENT]
    others = {id(record) for record in made_small if record.settings.get("fine_tune_rate")}
    return [record for record in records if id(record) not in others or len(others) == len(made_small)]


def lines(found: Iterable[Method]) -> dict[str, list[Method]]:
    """Methods that differ in budget and set alone, by name; those of one name are told apart by their settings."""
    names: dict[str, dict[str, list[Method]]] = {}
    for method in found:
        names.setdefault(method.name, {}).setdefault(repr(method.beside_budget), []).append(method)
    labels: dict[str, list[Method]] = {}
    for name, groups in names.items():
        told = differences([(group[0].beside_budget,) for group in groups.values()])
        labels |= {f"{name}, {label}" if label else name: g for label, g in zip(told, groups.values(), strict=True)}
    return labels
