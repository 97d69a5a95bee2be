"""Ours: the course documents' experiments, each network beside the one that its document sets it against."""

from collections.abc import Iterator, Sequence

from bcnn_prune.evaluation.by_class import class_scores
from bcnn_prune.evaluation.cost import file_bytes
from bcnn_prune.records import RunRecord
from bcnn_prune.records.file_latency import FileTimes
from thesis_figures.analysis.equal_cost import t_half_width
from thesis_figures.analysis.exercises import NETWORK, PARTS, Trained, compared_with, trained
from thesis_figures.analysis.runs import Spread, differences, over
from thesis_figures.tables.cells import DATA_SET, DIFFERS, MS, PARAMS, RUNS, how_timed, settings_of
from thesis_figures.tables.table import Cell, Column, Row, Table

ACCURACY = Column("accuracy_percent", "test\naccuracy %", ".2f", spread=True, deviation=False)
INTERVAL = Column("accuracy_interval", "± 95 %", ".2f")
CHANGE = Column("change_points", "points", "+z.2f", spread=True, deviation=False)
CHANGE_INTERVAL = Column("change_interval", "± 95 %", ".2f")
TRAIN = Column("train_percent", "train\naccuracy %", ".2f", spread=True, deviation=False)
VAL_LOSS = Column("val_loss", "val\nloss", ".3f", spread=True, deviation=False)
MACRO = tuple(
    Column(f"macro_{score}_percent", f"macro\n{text} %", ".2f", spread=True, deviation=False)
    for score, text in (("precision", "precision"), ("recall", "recall"), ("f1", "F1"))
)
MACS = Column("mmacs", "M\nmultiply-adds", ",.4g", spread=True, deviation=False)
KBYTES = Column("kbytes", "kB in\nfp32", ",.0f", spread=True, deviation=False)
COLUMNS = (
    Column("document", "document"),
    *(DATA_SET, Column("side", "side, px", "d"), Column("network", "network"), DIFFERS, RUNS, ACCURACY, INTERVAL),
    *(Column("against", "against"), CHANGE, CHANGE_INTERVAL, TRAIN, VAL_LOSS, *MACRO, PARAMS, MACS, KBYTES, MS),
)
NOTES = (
    "Each network is trained in one phase, from fresh weights but for the pretrained teacher. Val chose the epoch that "
    "was kept; test was read once. Train accuracy, of augmented images, and val loss, the cross-entropy with the "
    "labels, are of that epoch.",
    "Points: test accuracy above the network named before, seed by seed. ± 95 %: half of the interval, of t over n "
    "seeds. Of one seed, the interval of a difference is that of two independent counts, and says nothing of other "
    "seeds.",
)


def table(records: Sequence[RunRecord], files: FileTimes | None) -> Table | None:
    """A row for each document, set, side and network, with the times of `files`; None where there are none."""
    rows = [row for part in PARTS for networks in trained(records, part).values() for row in _rows(networks, files)]
    notes = (*NOTES, *([how_timed(files)] if files else []))
    title = "The course documents' experiments"
    return Table("table-exercises", title, COLUMNS, tuple(rows), notes) if rows else None


def _rows(networks: Sequence[Trained], files: FileTimes | None) -> Iterator[Row]:
    alike: dict[tuple[int, str], list[Trained]] = {}
    for network in networks:
        alike.setdefault((network.side, network.name), []).append(network)
    for group in alike.values():
        for network, label in zip(group, differences([settings_of(one.runs[0]) for one in group]), strict=True):
            timed = {MS.name: over(files.of([network.shape])) if files else None}
            yield {**_row(network, compared_with(network, networks)), **timed, DIFFERS.name: label or None}


def _row(network: Trained, other: Trained | None) -> Row:
    accuracy = Spread.of([100 * found.accuracy for found in network.tested.values()])
    row: dict[str, Cell] = {
        "document": network.part.document,
        DATA_SET.name: network.runs[0].data.name,
        "side": network.side,
        "network": network.name,
        RUNS.name: accuracy.n,
        ACCURACY.name: accuracy,
        INTERVAL.name: t_half_width(accuracy),
        TRAIN.name: Spread.of([100 * history.kept.train.accuracy for history in network.histories]),
        VAL_LOSS.name: over(loss for history in network.histories if (loss := history.kept.val.loss) is not None),
        PARAMS.name: Spread.of([network.cost.params]),
        MACS.name: Spread.of([network.cost.macs / 1e6]),
        KBYTES.name: Spread.of([file_bytes(network.runs[0].spec) / 1e3]),
    }
    scores = [class_scores(run.confusion[NETWORK]).macro for run in network.runs if NETWORK in run.confusion]
    for i, column in enumerate(MACRO):
        row[column.name] = over(100 * score[i] for score in scores)
    if other is not None:
        change, half = network.above(other)
        row |= {"against": other.name, CHANGE.name: change, CHANGE_INTERVAL.name: half}
    return row
