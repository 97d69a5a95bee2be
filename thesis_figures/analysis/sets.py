"""Groups of runs that share a figure: by synthetic and real data sets, and within a set by flow."""

from collections import Counter
from collections.abc import Iterable, Mapping

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.records import RunRecord
from thesis_figures.analysis.runs import (
    DRAWN,
    REAL,
    SCRATCH,
    Runs,
    flow_of,
    is_heavier,
    kind_of,
    known_first,
    over_seeds,
    set_of,
    share_cut,
)

Sets = Mapping[str, list[RunRecord]]
"""Records by the label of their data set."""
Place = tuple[str, int, bool]
"""Of a sparse network: the label of its set, its seed, and whether the last layer had a penalty of its own."""


def by_kind(records: Iterable[RunRecord]) -> dict[str, Sets]:
    """The records by kind (`kind_of`) and, within it, by label in alphabetical order.

    A kind without records is left out. So is a set with a single run that compares nothing, where its family has
    other sets of that kind. Runs that start from other networks than most of a set's, or from images of another side,
    are a set of their own."""
    sets: dict[str, list[RunRecord]] = {}
    for record in sorted(records, key=set_of):
        sets.setdefault(set_of(record), []).append(record)
    groups = {label: (runs[0].data.family, kind_of(runs[0])) for label, runs in sets.items()}
    several = {group for group, count in Counter(groups.values()).items() if count > 1}
    shown = {
        label: runs
        for label, runs in sets.items()
        if len(runs) > 1 or _compares(runs[0]) or groups[label] not in several
    }
    kinds = known_first((kind for _, kind in groups.values()), (DRAWN, REAL, SCRATCH))
    return {
        kind: {
            name: found
            for label, runs in shown.items()
            if groups[label][1] == kind
            for name, found in by_unpruned(label, runs).items()
        }
        for kind in kinds
    }


def by_unpruned(label: str, runs: list[RunRecord]) -> Sets:
    """The runs of a set by the unpruned network that they cut and the side of its images: the most common one has the
    set's label, and the runs that cut none."""
    cut = Counter((run.spec, run.data.side) for run in runs if _cuts_one(run))
    labels = {
        (spec, side): label + f", {spec.title} of {total_cost(spec, side).params / 1e6:.3g} M, {side} px" * (i > 0)
        for i, ((spec, side), _) in enumerate(cut.most_common())
    }
    found: dict[str, list[RunRecord]] = {}
    for run in runs:
        found.setdefault(labels[run.spec, run.data.side] if _cuts_one(run) else label, []).append(run)
    return dict(sorted(found.items()))


def _compares(run: RunRecord) -> bool:
    return bool(run.sweep or run.compared or run.sensitivity)


def _cuts_one(run: RunRecord) -> bool:
    return bool(run.steps) or _compares(run)


def of(records: Iterable[RunRecord], experiment: str, *, heavier: bool | None = None) -> list[Runs]:
    """The runs of an experiment, over seeds, from the lowest share cut to the highest.

    `heavier` takes those with (True) or without (False) a penalty of its own on the last layer; None takes both."""
    chosen = [r for r in records if r.experiment == experiment and heavier in (None, is_heavier(r))]
    return sorted(over_seeds(chosen), key=lambda runs: share_cut(runs[0]))


def of_flow(records: Iterable[RunRecord], flow: str) -> list[Runs]:
    """The runs of a pruning flow (`flow_of`), over seeds, from the lowest share cut to the highest."""
    chosen = [record for record in records if flow_of(record) == flow]
    return sorted(over_seeds(chosen), key=lambda runs: share_cut(runs[0]))


def having(sets: Sets, *experiments: str) -> Sets:
    """The sets with a run of one of the experiments."""
    return {label: records for label, records in sets.items() if any(r.experiment in experiments for r in records)}


def sparse_networks(records: Iterable[RunRecord], *, heavier: bool = False) -> Runs:
    """For each sparse network of a set, in the order of seeds, the first of the runs that cut it (`by_network`)."""
    return tuple(runs[0] for (_, _, penalty), runs in by_network(records).items() if penalty is heavier)


def by_network(records: Iterable[RunRecord]) -> dict[Place, Runs]:
    """The runs that cut a sparse network, by its set, its seed and whether the last layer had a penalty of its own, in
    this order.

    All runs of a place cut the same network: where several machines trained one, the one that most cuts were made of.
    One-shot runs come first, of these the one with the smallest cut."""
    by_scales: dict[tuple[Place, object], list[RunRecord]] = {}
    for record in sorted(records, key=lambda record: (record.experiment != "oneshot", share_cut(record))):
        if record.scales and (record.steps or record.sweep):
            place = set_of(record), record.seed, is_heavier(record)
            by_scales.setdefault((place, tuple(record.scales.items())), []).append(record)
    most: dict[Place, Runs] = {}
    for (place, _), runs in by_scales.items():
        if place not in most or _cuts(runs) > _cuts(most[place]):
            most[place] = tuple(runs)
    return {place: most[place] for place in sorted(most)}


def _cuts(runs: Iterable[RunRecord]) -> int:
    return sum(len(run.steps[:1]) + len(run.sweep) for run in runs)
