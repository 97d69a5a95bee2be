"""Rows of pruned networks, and of the unpruned ones that the same runs compare them with."""

from collections.abc import Callable, Iterable, Sequence

from bcnn_prune.records import RunRecord
from thesis_figures.runs import Runs, over_seeds
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
from thesis_figures.tables.reference import ThesisRow
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
    "not cut. Changes to the control are taken seed by seed, in points of test accuracy."
)

_BASES = ("dense", "sparse", "control")


def drafts(
    records: Sequence[RunRecord], network: Callable[[RunRecord], str] = lambda _: "pruned"
) -> list[tuple[Draft, Runs]]:
    """A row for each cut of each group of runs, called `network`, and for their unpruned networks; with the runs."""
    cuts = [(_cut(runs, i, network(runs[0])), runs) for runs in over_seeds(records) for i in range(len(runs[0].steps))]
    return [*_unpruned(records), *cuts]


def rate_of(record: RunRecord, i: int) -> float:
    """Share of all channels that the first i + 1 cuts of a run were told to take."""
    return round(float(record.settings["prune"] or 0) * (i + 1) / len(record.steps), 6)


def published(row: ThesisRow) -> dict[str, Cell]:
    """The cells of a published row of tables 4.4 to 4.7. Where nothing was cut it is what we call sparse."""
    return {**thesis_cells(row), NETWORK.name: "pruned" if row.rate else "sparse", RATE.name: row.rate}


def timing(records: Iterable[RunRecord]) -> tuple[str, ...]:
    """The note on speed-ups, if any run was timed: on what, as the records say."""
    places = {
        f"batch {pruned.batch}, threads {pruned.threads}, {pruned.rounds} alternating passes"
        f"{f', {cpu}' if (cpu := record.provenance.get('cpu')) else ''}"
        for record in records
        if (pruned := record.latency.get("pruned"))
    }
    if not places:
        return ()
    return (f"CPU speed-up: median time of the dense network over the pruned one's ({'; '.join(sorted(places))}).",)


def _unpruned(records: Sequence[RunRecord]) -> list[tuple[Draft, Runs]]:
    """Rows of dense, sparse and control networks. One that is in several records was trained once, and counts once."""
    found: dict[tuple[object, ...], dict[object, RunRecord]] = {}
    for record in records:
        for name in _BASES:
            if name in record.test:
                key = (name, record.data.name, repr(_made(record, name)))
                network = (record.seed, record.training[name].without_clock(), record.test[name])
                found.setdefault(key, {}).setdefault(network, record)
    groups = [(str(name), tuple(networks.values())) for (name, *_), networks in found.items()]
    return [(_base(name, runs), runs) for name, runs in groups]


def _made(record: RunRecord, name: str) -> tuple[dict[str, object], dict[str, object]]:
    """What decides how an unpruned network comes out, but for its seed."""
    told = {setting: record.settings.get(setting) for setting in ("depth", "width", "weights", "trunk")}
    return {**told, "data": record.data.digest[:8]}, recipe_fields(record, _BASES[: _BASES.index(name) + 1])


def _base(name: str, runs: Runs) -> Draft:
    costs = [run.cost for run in runs]
    row: dict[str, Cell] = {
        DATA_SET.name: runs[0].data.name,
        SOURCE.name: "ours",
        NETWORK.name: name,
        RATE.name: 0.0,
        ACCURACY.name: percent(run.test[name] for run in runs),
        RUNS.name: len(runs),
        **sizes(costs, costs),
    }
    return Draft(row, _made(runs[0], name))


def _cut(runs: Runs, i: int, network: str) -> Draft:
    steps = [run.steps[i] for run in runs]
    row: dict[str, Cell] = {
        DATA_SET.name: runs[0].data.name,
        SOURCE.name: "ours",
        NETWORK.name: network,
        RATE.name: rate_of(runs[0], i),
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
    return Draft(row, told_of(runs[0]))
