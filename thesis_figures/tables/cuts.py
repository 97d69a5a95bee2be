"""Rows of pruned networks, and of the unpruned ones that the same runs compare them with."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from bcnn_prune.records import RunRecord
from bcnn_prune.records.flow_latency import TIMED_ON
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.analysis.runs import Runs, over_seeds, share_cut, tested
from thesis_figures.tables.cells import (
    ACCURACY,
    DATA_SET,
    DIFFERS,
    GMACS,
    NETWORK,
    PARAMS,
    RATE,
    RUNS,
    SHARE,
    SOURCE,
    Draft,
    over,
    percent,
    recipe_fields,
    sizes,
    thesis_cells,
    told_of,
)
from thesis_figures.tables.table import Cell, Column

REBUILT = Column("rebuilt_percent", "right after\nthe cut %", ".2f", spread=True)
RECALIBRATED = Column("recalibrated_percent", "BN\nrecomputed %", ".2f", spread=True)
CHANGE = Column("change_points", "change to\ncontrol, points", "+z.2f", spread=True)
SPEED_UP = Column("cpu_speed_up", "CPU\nspeed-up", ".2f", spread=True)
COLUMNS = (
    *(DATA_SET, SOURCE, NETWORK, RATE, DIFFERS, ACCURACY, RUNS, PARAMS, SHARE, GMACS),
    *(REBUILT, RECALIBRATED, CHANGE, SPEED_UP),
)
NOTE = (
    "dense: unpruned; sparse: dense, trained on with L1; control: sparse, trained on as long as the pruned network and "
    "not cut. Where a seed of these was trained on two machines, its mean counts. Changes to the control are taken "
    "seed by seed, in points of test accuracy."
)

_BASES = ("dense", "sparse", "control")


def drafts(
    records: Sequence[RunRecord], network: Callable[[RunRecord], str] = lambda _: "pruned"
) -> list[tuple[Draft, Runs]]:
    """A row for each cut of each group of runs, called `network`, and for their unpruned networks; with the runs."""
    cuts = [(_cut(runs, i, network(runs[0])), runs) for runs in over_seeds(records) for i in range(len(runs[0].steps))]
    return [*_unpruned(records), *cuts]


def published(row: ThesisRow) -> dict[str, Cell]:
    """The cells of a published row of tables 4.4 to 4.7. Where nothing was cut it is what we call sparse."""
    return {**thesis_cells(row), NETWORK.name: "pruned" if row.rate else "sparse", RATE.name: row.rate}


def timing(records: Iterable[RunRecord]) -> tuple[str, ...]:
    """The note on speed-ups, if any run was timed: on what, as the records say."""
    places = {
        f"batch {pruned.batch}, threads {pruned.threads}, {pruned.rounds} alternating passes"
        f"{f', {cpu}' if (cpu := record.provenance.get(TIMED_ON) or record.provenance.get('cpu')) else ''}"
        for record in records
        if (pruned := record.latency.get("pruned"))
    }
    if not places:
        return ()
    return (f"CPU speed-up: median time of the dense network over the pruned one's ({'; '.join(sorted(places))}).",)


def _unpruned(records: Sequence[RunRecord]) -> list[tuple[Draft, Runs]]:
    """Rows of dense, sparse and control networks, by how they were made."""
    found: dict[tuple[object, ...], list[RunRecord]] = {}
    for record in records:
        for name in _BASES:
            if name in record.test:
                found.setdefault((name, record.data.name, repr(_made(record, name))), []).append(record)
    return [(_base(str(name), tuple(runs)), tuple(runs)) for (name, *_), runs in found.items()]


def _made(record: RunRecord, name: str) -> tuple[dict[str, object], dict[str, object]]:
    """What decides how an unpruned network comes out, but for its seed."""
    told = {setting: record.settings.get(setting) for setting in ("depth", "width", "weights", "trunk")}
    return {**told, "data": record.data.digest[:8]}, recipe_fields(record, _BASES[: _BASES.index(name) + 1])


def _base(name: str, runs: Runs) -> Draft:
    accuracies = [100 * fmean(found.accuracy for found in of_seed) for of_seed in tested(runs, name)]
    row: dict[str, Cell] = {
        DATA_SET.name: runs[0].data.name,
        SOURCE.name: "ours",
        NETWORK.name: name,
        RATE.name: 0.0,
        ACCURACY.name: over(accuracies),
        RUNS.name: len(accuracies),
        **sizes([runs[0].cost], [runs[0].cost]),
    }
    return Draft(row, runs[0].data.family, _made(runs[0], name))


def _cut(runs: Runs, i: int, network: str) -> Draft:
    steps = [run.steps[i] for run in runs]
    row: dict[str, Cell] = {
        DATA_SET.name: runs[0].data.name,
        SOURCE.name: "ours",
        NETWORK.name: network,
        RATE.name: share_cut(runs[0], i),
        ACCURACY.name: percent(step.final for step in steps),
        RUNS.name: len(runs),
        **sizes([step.cost for step in steps], [run.cost for run in runs]),
        REBUILT.name: percent(step.rebuilt for step in steps),
        RECALIBRATED.name: percent(step.recalibrated for step in steps),
    }
    if i == len(runs[0].steps) - 1:  # the control and the clock are of the last network alone
        row[CHANGE.name] = over(
            100 * (run.steps[i].final.accuracy - run.test["control"].accuracy) for run in runs if "control" in run.test
        )
        row[SPEED_UP.name] = over(
            run.latency["dense"].median_ms / run.latency["pruned"].median_ms for run in runs if "pruned" in run.latency
        )
    return Draft(row, runs[0].data.family, told_of(runs[0]))
