"""Rows of pruned networks, and of the unpruned ones that the same runs compare them with."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from bcnn_prune.records import RunRecord
from bcnn_prune.records.flow_latency import TIMED_ON
from thesis_figures.analysis.frame import networks
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.analysis.runs import Runs, Spread, over, set_of, tested
from thesis_figures.tables import cells
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
    recipe_fields,
    thesis_cells,
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
    "not cut; dense-as-long: dense, trained without L1 in one phase of as many epochs as all of the pruned network's. "
    "Where a seed of these was trained on two machines, its mean counts. Changes to the control are taken "
    "seed by seed, in points of test accuracy."
)

BASES = {
    "dense": ("classifier", "dense"),
    "sparse": ("classifier", "dense", "sparse"),
    "control": ("classifier", "dense", "sparse", "control"),
    "dense-as-long": ("classifier", "dense-as-long"),
}
"""Unpruned networks, and the phases that each is trained by; a classifier's phase only where it was trained first."""
NETWORK_SETTINGS = ("backbone", "width", "head", "reduce_to", "weights", "trunk")
"""Settings that determine the unpruned network and its first weights."""


def drafts(records: Sequence[RunRecord], network: Callable[[RunRecord], str] = lambda _: "pruned") -> list[Draft]:
    """A row for each cut of each group of runs, called `network`, and for their unpruned networks."""
    frame = networks(records)
    cut = frame[frame["network"] == "pruned"]
    return [*_unpruned(records), *cells.drafts(cut.assign(network=cut["record"].map(network)), COLUMNS)]


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


def _unpruned(records: Sequence[RunRecord]) -> list[Draft]:
    """Rows of dense, sparse and control networks, by how they were made."""
    made: dict[tuple[object, ...], list[RunRecord]] = {}
    for record in records:
        for name in BASES:
            if name in record.test:
                made.setdefault((name, set_of(record), repr(how_made(record, name))), []).append(record)
    return [_base(str(name), tuple(runs)) for (name, *_), runs in made.items()]


def how_made(record: RunRecord, name: str) -> tuple[dict[str, object], dict[str, object]]:
    """The settings and recipes, except the seed, that determine an unpruned network."""
    settings = {setting: record.settings.get(setting) for setting in NETWORK_SETTINGS}
    return {**settings, "data": record.data.digest[:8]}, recipe_fields(record, BASES[name])


def _base(name: str, runs: Runs) -> Draft:
    accuracies = [100 * fmean(evaluation.accuracy for evaluation in of_seed) for of_seed in tested(runs, name)]
    row: dict[str, Cell] = {
        DATA_SET.name: set_of(runs[0]),
        SOURCE.name: "ours",
        NETWORK.name: name,
        RATE.name: 0.0,
        ACCURACY.name: over(accuracies),
        RUNS.name: len(accuracies),
        PARAMS.name: Spread.of([runs[0].cost.params]),
        SHARE.name: Spread.of([1.0]),
        GMACS.name: Spread.of([runs[0].cost.macs / 1e9]),
    }
    return Draft(row, runs[0].data.family, how_made(runs[0], name), runs)
