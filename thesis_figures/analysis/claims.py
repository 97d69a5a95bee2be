"""The thesis' findings put to the records: yes, no or unsure, by the interval of a change in accuracy.

`table-findings` shows means and deviations; here a claim holds only where the whole interval says so."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, variance

from scipy.stats import norm, t

from bcnn_prune.records import NEAR_ZERO, Evaluation, PruneStep, RunRecord
from thesis_figures.analysis.equal_cost import t_half_width
from thesis_figures.analysis.findings import CLAIMED, EQUAL, smallest_equal, smallest_published, unpruned_accuracy
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.analysis.runs import (
    DRAWN,
    REAL,
    SCRATCH,
    Runs,
    Spread,
    flow_of,
    kind_of,
    over_seeds,
    set_of,
    share_cut,
)

MODERATE = 0.2
"""Share of the channels that a moderate cut takes."""
KINDS = {
    DRAWN: "synthetic sets",
    REAL: "photographs",
    SCRATCH: "photographs from scratch",
}
"""Of which a mean is taken over the sets, each by the mean of its runs."""
ROUNDING = 0.005
"""The thesis gives whole per cent."""
HEAVIER = "one-shot, heavier last penalty"
"""The flow of the first finding."""
Removal = tuple[RunRecord, PruneStep]
"""A cut, and its run."""
Pair = tuple[Evaluation, Evaluation]
"""Test counts of a network, and of the one that it is compared with."""


@dataclass(frozen=True)
class Answer:
    """A claim put to runs of a data set, or of several; or the author's own number of it."""

    about: str
    n: int
    """Runs; of several data sets, the sets."""
    change: float
    """Points of accuracy, mean over these."""
    interval: tuple[float, float] | None
    """Of 95 %: by Student's t over these, and of several data sets no narrower than the runs within sets make it; of
    one run by the counts of both networks. None for the author's."""
    verdict: str = ""
    note: str = ""


@dataclass(frozen=True)
class Claim:
    """A finding of the thesis, and what is measured of it."""

    text: str
    measure: str
    ours: tuple[Answer, ...]
    published: tuple[Answer, ...] = ()


def claims(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> list[Claim]:
    """The three findings of the thesis, the second against either unpruned network."""
    chosen = usual([record for record in records if flow_of(record) == "one-shot" and share_cut(record) == MODERATE])
    with_control = [record for record in chosen if "control" in record.test]
    of_zeros = [record for record in chosen if record.steps[0].threshold < NEAR_ZERO]

    def put(
        measure: Callable[[RunRecord], Pair], above: float, runs: Sequence[RunRecord] = chosen
    ) -> tuple[Answer, ...]:
        return answers([(record, measure(record)) for record in runs], above)

    cut = f"One-shot, {MODERATE:.0%} of the channels cut"
    return [
        _smallest_cut(records, reference),
        Claim(
            "Moderate pruning sometimes raises accuracy.",
            f"{cut}, fine-tuned: the change to the dense network is above 0.",
            put(lambda run: (run.steps[0].final, run.test["dense"]), 0),
            tuple(
                Answer(row.family, 1, row.accuracy - unpruned_accuracy(row.family, reference), None)
                for row in reference
                if (row.table, row.rate) == ("4.4", MODERATE)
            ),
        ),
        Claim(
            "The same, against a network that is trained as long.",
            f"{cut}, fine-tuned: the change to the control, trained as long and not cut, is above 0.",
            put(lambda run: (run.steps[0].final, run.test["control"]), 0, with_control),
        ),
        Claim(
            "Up to the share of γ that has gone to zero, pruning costs almost nothing.",
            f"{cut}, in runs where all γ that go are at zero, before any training: the change to the sparse network is "
            f"above −{EQUAL:g} point.",
            put(lambda run: (run.steps[0].rebuilt, run.test["sparse"]), -EQUAL, of_zeros),
        ),
    ]


def usual(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Of each set the runs that differ in their seed alone, of which there are most: an interval is over seeds."""
    most: dict[str, Runs] = {}
    for runs in over_seeds(records):
        most[set_of(runs[0])] = max(most.get(set_of(runs[0]), ()), runs, key=len)
    return [run for runs in most.values() for run in runs]


def answers(measured: Sequence[tuple[RunRecord, Pair]], above: float) -> tuple[Answer, ...]:
    """One per data set; then one per kind of sets, where there are several of a kind. Runs on one set are alike, so
    that all of a kind count as many times as there are sets."""
    groups: dict[str, list[Pair]] = {}
    kinds: dict[str, list[str]] = {}
    for record, pair in measured:
        label, kind = _groups_of(record)
        if label not in groups:
            kinds.setdefault(kind, []).append(label)
        groups.setdefault(label, []).append(pair)
    of_sets = {label: answer(label, pairs, above) for label, pairs in groups.items()}
    several = {kind: labels for kind, labels in kinds.items() if len(labels) > 1}
    pooled = (_pooled(kind, [_changes(groups[label]) for label in labels], above) for kind, labels in several.items())
    return (*of_sets.values(), *pooled)


def answer(about: str, pairs: Sequence[Pair], above: float) -> Answer:
    """Yes where the whole interval is above the bound, no where none of it is, else unsure."""
    return _judged(about, _changes(pairs), above, 100 * float(norm.ppf(0.975)) * sum(map(_variance, pairs[0])) ** 0.5)


def _changes(pairs: Sequence[Pair]) -> list[float]:
    return [100 * (network.accuracy - base.accuracy) for network, base in pairs]


def _pooled(about: str, of_sets: Sequence[Sequence[float]], above: float) -> Answer:
    """By the mean change of each set, with the wider of two intervals: that of the means over sets, and that of the
    runs within sets, which alone is left where the means happen to be alike. With a set of one run, the first."""
    means = [fmean(changes) for changes in of_sets]
    if min(map(len, of_sets)) == 1:
        return _judged(about, means, above)
    error = sum(variance(changes) / len(changes) for changes in of_sets) ** 0.5 / len(of_sets)
    within = float(t.ppf(0.975, sum(len(changes) - 1 for changes in of_sets))) * error
    return _judged(about, means, above, at_least=within)


def _judged(
    about: str, changes: Sequence[float], above: float, half_of_one: float = math.inf, at_least: float = 0
) -> Answer:
    over = t_half_width(Spread.of(changes))
    half = half_of_one if over is None else max(over, at_least)
    low, high = fmean(changes) - half, fmean(changes) + half
    verdict = "yes" if low > above else "no" if high < above else "unsure"
    return Answer(about, len(changes), fmean(changes), (low, high), verdict)


def _variance(counts: Evaluation) -> float:
    return counts.accuracy * (1 - counts.accuracy) / counts.images


def _smallest_cut(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Claim:
    """The first finding: enough has to be removed, and accuracy to be kept. A set without such a cut answers no."""
    heavier = [record for record in records if flow_of(record) == HEAVIER and record.data.family in CLAIMED]
    cuts, unequal = list[Removal](), set[str]()
    for name, rows in smallest_equal(heavier).items():
        found = [(run, run.steps[step - 1]) for run, step in zip(rows["record"], rows["step"], strict=True)]
        if not found:
            unequal.add(name)
            runs = [record for record in heavier if set_of(record) == name]
            mildest = min(map(share_cut, runs))
            found = [(run, run.steps[-1]) for run in runs if share_cut(run) == mildest]
        cuts += found
    judged = answers([(run, (step.final, run.test["dense"])) for run, step in cuts], -EQUAL)
    return Claim(
        "One-shot pruning with a heavier L1 on the last layer removes 90 % of the parameters (birds: 80 %).",
        "The smallest cut that val takes for equal to the dense network removes that much, and its change on test is "
        f"above −{EQUAL:g} point. Where val takes none, the answer is no, and the mildest cut is shown.",
        tuple(_with_share(one, [cut for cut in cuts if one.about in _groups_of(cut[0])], unequal) for one in judged),
        tuple(_published(family, reference) for family in sorted({row.family for row in reference})),
    )


def _with_share(found: Answer, cuts: Sequence[Removal], unequal: set[str]) -> Answer:
    """The answer with the share of the parameters that these cuts remove, each set's once; where that is too little
    for one of the sets, or none of its cuts is equal, it is no."""
    by_set: dict[str, list[float]] = {}
    for run, step in cuts:
        by_set.setdefault(set_of(run), []).append(1 - step.cost.params / run.cost.params)
    claimed = {set_of(run): CLAIMED[run.data.family] for run, _ in cuts}
    shares = {name: fmean(values) for name, values in by_set.items()}
    enough = all(share >= claimed[name] - ROUNDING for name, share in shares.items())
    lacking = unequal & set(shares)
    note = f"{fmean(shares.values()):.1%} removed" + (
        f"; no cut is equal on {', '.join(sorted(lacking))}" if lacking else ""
    )
    return replace(found, verdict=found.verdict if enough and not lacking else "no", note=note)


def _published(family: str, reference: Sequence[ThesisRow]) -> Answer:
    row, dense = smallest_published(family, reference)
    return Answer(family, 1, row.accuracy - dense, None, note=f"{1 - (row.params or 0) / row.unpruned:.1%} removed")


def _groups_of(record: RunRecord) -> tuple[str, str]:
    """What answers a run is part of: its data set's, and that of all sets of the kind."""
    return set_of(record), KINDS[kind_of(record)]
