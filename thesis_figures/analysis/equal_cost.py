"""Comparisons at equal cost: the networks of one set that were trained alike, by budget, way and seed."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from scipy.stats import binomtest, t

from bcnn_prune.records import ComparedNetwork, Recipe, RunRecord
from bcnn_prune.records.compared import unpack
from bcnn_prune.records.file_latency import FileTimes
from bcnn_prune.spec import ModelSpec
from thesis_figures.analysis.runs import Spread, set_of

EXPERIMENT, AS_LONG, THESIS = "equal_cost", "dense-as-long", "thesis"
DISTILLED = " + distillation"
BASE = ("classifier", "dense", "sparse")
"""Phases before the cut."""
ALIKE = ("floor", "multiple", "recalibrate", "repair", "distil_temperature", "distil_weight")
"""Settings of all cuts of a record, and of what teaches after them."""
UNPRUNED = {
    "classifier": "classifier alone",
    "dense": "dense",
    "sparse": "sparse",
    "control": "control",
    AS_LONG: "dense, trained as long",
}
SELECTIONS = {
    THESIS: "|γ| as it is (thesis)",
    "raw": "|γ| as it is, 10 % protected",
    "mean": "|γ| ÷ layer mean",
    "rms": "|γ| ÷ layer rms",
    "lamp": "LAMP",
    "rank": "uniform widths by |γ|",
    "filter-norm": "filter norm ÷ layer rms",
    "taylor": "Taylor ÷ layer mean",
    "fisher": "Fisher",
    "fisher-head": "Fisher, head anew",
    "mean-exact": "|γ| ÷ layer mean, exact",
    "lamp-exact": "LAMP, exact",
    "fisher-exact": "Fisher, exact",
    "sensitivity": "|γ|, widths by sensitivity",
    "random-in-widths": "random, widths of ÷ mean",
    "random": "random, uniform widths",
    "uniform": "uniform, from the start",
}
"""Ways to select channels, by their names in records."""
PIECES = ("seed", "rules", "keep_macs", "keep_ms", "distil")
"""Settings that say which networks a record holds, not how they were trained."""
Limited = Literal["multiply-adds", "milliseconds"]
"""What budgets limit."""
TUNING = ("fine_tune_epochs", "fine_tune_rate")
"""Settings that recipes say in full: a setting that is not given stands for the recipe's."""


Tuning = tuple[int, float]
"""Epochs and learning rate of fine-tuning."""


@dataclass(frozen=True)
class Way:
    """A way to select, or an unpruned network; `budget` is 1 for those."""

    budget: float
    name: str
    distilled: bool = False

    @property
    def label(self) -> str:
        known = UNPRUNED if self.budget == 1 else SELECTIONS
        return known.get(self.name, self.name) + (DISTILLED if self.distilled else "")

    @property
    def place(self) -> tuple[float, bool, int, str]:
        """Order among others: from the largest budget to the smallest, with distillation last."""
        known = [*UNPRUNED, *SELECTIONS]
        order = known.index(self.name) if self.name in known else len(known)
        return -self.budget, self.distilled, order, self.name


BySeed = Mapping[int, ComparedNetwork]


@dataclass(frozen=True)
class Comparison:
    """Networks of one set that were trained alike."""

    record: RunRecord
    """One of the records."""
    networks: Mapping[Way, BySeed]
    """In the order of their places; a network that several records hold was trained once, and stands once."""

    @property
    def tuning(self) -> Tuning:
        """As `tuning_of` says."""
        return tuning_of(self.record)

    @property
    def budgets(self) -> list[float]:
        """From the largest to the smallest."""
        return sorted({way.budget for way in self.networks if way.budget < 1}, reverse=True)

    def seeds(self, name: str, budget: float = 1, distilled: bool = False) -> BySeed:
        """The networks of one way; none where it was not run."""
        return self.networks.get(Way(budget, name, distilled), {})

    def milliseconds(self, specs: Iterable[ModelSpec], files: FileTimes | None) -> list[float]:
        """CPU time of the files of these networks, of those that were timed."""
        return files.of((self.record.data.side, spec) for spec in specs) if files else []


def comparisons(records: Iterable[RunRecord], limited: Limited = "multiply-adds") -> list[Comparison]:
    """All comparisons by budgets of one kind, by name of the set.

    Raises ValueError where two records of one are of the same seed and not of the same sparse network."""
    groups: dict[str, list[RunRecord]] = {}
    for record in sorted(records, key=lambda record: (set_of(record), record.seed, repr(record.settings))):
        if record.experiment == EXPERIMENT and any(_share(network, limited) for network in record.compared):
            made = repr((record.data.digest, sorted(shared(record).items()), undistilled(record)))
            groups.setdefault(made, []).append(record)
    return [_joined(group, limited) for group in groups.values()]


def shared(record: RunRecord) -> dict[str, object]:
    """The settings that a comparison's records have in common."""
    return {name: value for name, value in record.settings.items() if name not in (*PIECES, *TUNING)}


def undistilled(record: RunRecord) -> dict[str, Recipe]:
    """The recipes of unpruned networks and of fine-tuning, as they are without distillation: alike for all records of a
    comparison."""
    names = [name for name in (*record.test, "fine-tune") if name in record.recipes]
    return {name: replace(record.recipes[name], distillation=None) for name in names}


def of_one_base(records: Iterable[RunRecord], limited: Limited = "multiply-adds") -> list[Comparison]:
    """Those of `comparisons` whose networks were trained alike before the cut, and cut alike, as those of the one of
    most networks: figures show them together, of any length and rate of fine-tuning."""
    found = comparisons(records, limited)
    usual = _base(max(found, key=networks_in).record) if found else None
    return [one for one in found if _base(one.record) == usual]


def without_variants(records: Iterable[RunRecord]) -> list[RunRecord]:
    """The records but those at equal cost whose networks were trained otherwise before the cut than most, or cut
    otherwise, or fine-tuned at another rate than most of their length."""
    records = list(records)
    compared = [record for record in records if record.experiment == EXPERIMENT]
    bases, rates = Counter(map(_base, compared)), Counter(map(tuning_of, compared))
    usual_base = max(bases, key=bases.__getitem__, default=None)
    usual_rate = {epochs: rate for (epochs, rate), _ in reversed(rates.most_common())}

    def is_usual(record: RunRecord) -> bool:
        epochs, rate = tuning_of(record)
        return _base(record) == usual_base and usual_rate[epochs] == rate

    return [record for record in records if record.experiment != EXPERIMENT or is_usual(record)]


def _base(record: RunRecord) -> tuple[object, ...]:
    return (*map(record.recipes.get, BASE), *map(record.settings.get, ALIKE))


def tuning_of(record: RunRecord) -> Tuning:
    """Epochs and learning rate of fine-tuning; where nothing was cut, of what was trained last."""
    last = record.recipes.get("fine-tune") or list(record.recipes.values())[-1]
    return last.epochs, last.learning_rate


def widest(records: Iterable[RunRecord]) -> Comparison:
    """The comparison at most budgets, of these the one of most networks: the one that figures show of a set."""
    return max(of_one_base(records), key=lambda found: (len(found.budgets), networks_in(found)))


def by_tuning(
    records: Iterable[RunRecord], budget: float, limited: Limited = "multiply-adds"
) -> dict[Tuning, Comparison]:
    """The comparisons at a budget by epochs and rate of fine-tuning, the shortest first; the one of most networks where
    several share both."""
    found = of_one_base(records, limited)
    found = sorted((one for one in found if budget in one.budgets), key=networks_in)
    last = {one.tuning: one for one in found}
    return dict(sorted(last.items()))


def common_tunings(found: Collection[Collection[Tuning]]) -> list[Tuning]:
    """Epochs and rates of fine-tuning that most sets have, and all of a set that has none of these."""
    sets = Counter(tuning for of_set in found for tuning in set(of_set))
    common = {tuning for tuning, count in sets.items() if count == max(sets.values())}
    return sorted(common.union(*(of_set for of_set in found if not common & set(of_set))))


def networks_in(comparison: Comparison) -> int:
    """How many networks a comparison holds, each seed's counted."""
    return sum(map(len, comparison.networks.values()))


def _joined(records: list[RunRecord], limited: Limited) -> Comparison:
    networks: dict[Way, dict[int, ComparedNetwork]] = {}
    sparse: dict[int, str] = {}
    for record in records:
        if sparse.setdefault(record.seed, record.correct["sparse"]) != record.correct["sparse"]:
            raise ValueError(
                f"two records of {EXPERIMENT} on {record.data.name}, seed {record.seed}, cut different networks, as of "
                "two machines: keep one of them, or run both again from the same --out"
            )
        for way, network in _held(record, limited):
            networks.setdefault(way, {}).setdefault(record.seed, network)
    return Comparison(records[0], {way: networks[way] for way in sorted(networks, key=lambda way: way.place)})


def _held(record: RunRecord, limited: Limited) -> Iterator[tuple[Way, ComparedNetwork]]:
    distilled = bool(record.settings.get("distil"))
    for name, test in record.test.items():
        val, correct = record.training[name].kept.val, record.correct[name]
        network = ComparedNetwork(name, 1, record.spec, record.cost, None, val, test, correct)
        yield Way(1, name, distilled and name == "control"), network
    for network in record.compared:
        if share := _share(network, limited):
            yield Way(share, network.selection, distilled), network


def _share(network: ComparedNetwork, limited: Limited) -> float | None:
    return network.keep_macs if limited == "multiply-adds" else network.keep_ms


def t_half_width(spread: Spread, confidence: float = 0.95) -> float | None:
    """Half of the t interval of a mean over n runs; None for one."""
    if spread.deviation is None:
        return None
    quantile = float(t.ppf((1 + confidence) / 2, spread.n - 1))
    return quantile * spread.deviation / math.sqrt(spread.n)


def changes(networks: BySeed, base: BySeed) -> list[float]:
    """Points of test accuracy above `base`, seed by seed, where both have the seed."""
    return [100 * (networks[seed].test.accuracy - base[seed].test.accuracy) for seed in networks if seed in base]


def mcnemar(networks: BySeed, base: BySeed) -> list[float]:
    """The exact p value of McNemar's test, seed by seed: of the images that one network alone is right on, each is
    equally likely to be either's."""
    return [_mcnemar(networks[seed], base[seed]) for seed in networks if seed in base]


def _mcnemar(first: ComparedNetwork, second: ComparedNetwork) -> float:
    a, b = (unpack(network.correct, network.test.images) for network in (first, second))
    alone, either = int((a & ~b).sum()), int((a ^ b).sum())
    return float(binomtest(alone, either).pvalue) if either else 1.0
