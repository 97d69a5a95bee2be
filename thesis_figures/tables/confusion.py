"""Ours: the accuracy of each final network by class, with its top-5 accuracy, and the classes it confuses most."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bcnn_prune.evaluation.by_class import class_scores, most_confused, wilson_interval
from bcnn_prune.records import ConfusionMatrix, RunRecord
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.analysis.runs import flow_of, set_of, share_cut
from thesis_figures.tables import cuts
from thesis_figures.tables.cells import DATA_SET, DIFFERS, NETWORK, RATE, SOURCE, Draft, finished, settings_of
from thesis_figures.tables.table import Cell, Column, Table

FLOW, SEED = Column("flow", "flow"), Column("seed", "seed", "d")
IMAGES = Column("test_images", "test\nimages", ",d")
TOP_1, TOP_5 = Column("top_1_percent", "top-1 %", ".2f"), Column("top_5_percent", "top-5 %", ".2f")
LOW, HIGH = (Column(f"interval_{end}", f"95 % interval,\n{end} %", ".2f") for end in ("from", "to"))
MACRO = tuple(
    Column(f"macro_{score}_percent", f"macro\n{text} %", ".2f")
    for score, text in (("precision", "precision"), ("recall", "recall"), ("f1", "F1"))
)
LOWEST = Column("lowest_class", "class of the\nlowest accuracy")
CONFUSED = Column("most_confused", "most confused")
ALL_CONFUSED = Column("ten_most_confused", "ten most confused", shown=False)
ACCURACIES = Column("accuracy_by_class", "accuracy by class", shown=False)
COLUMNS = (
    *(DATA_SET, SOURCE, FLOW, NETWORK, RATE, SEED, DIFFERS, IMAGES, TOP_1, LOW, HIGH, TOP_5, *MACRO),
    *(LOWEST, CONFUSED, ALL_CONFUSED, ACCURACIES),
)
SHOWN_PAIRS = 3
NOTES = (
    "A row per final network and seed, on test. The interval is Wilson's, of other images of the same kind: it says "
    "nothing of other seeds. Top-5 accuracy stands where there are more than five classes. A network that two flows "
    "end with has a row in each.",
    "Macro scores are means over classes; macro recall is the mean accuracy by class. The precision of a class that "
    "was never predicted counts as 0.",
    "Most confused: class of the images → class they were taken for, and how many images. The CSV has ten pairs per "
    "network, and the accuracy of every class.",
)


@dataclass(frozen=True)
class _Network:
    record: RunRecord
    name: str
    matrix: ConfusionMatrix
    flow: str | None = None
    rate: float = 0.0

    @property
    def draft(self) -> Draft:
        record, unpruned = self.record, self.flow is None
        row = {
            DATA_SET.name: set_of(record),
            SOURCE.name: "ours",
            FLOW.name: self.flow,
            NETWORK.name: self.name,
            RATE.name: self.rate,
            SEED.name: record.seed,
            **_scores(self.matrix, record.data.class_names),
        }
        settings = cuts.how_made(record, self.name) if unpruned else settings_of(record)
        return Draft(row, record.data.family, settings, (record,))


def table(records: Sequence[RunRecord], reference: Sequence[ThesisRow]) -> Table | None:
    """A row for each final network whose confusion matrix is recorded; None where none is. The thesis has no such
    rows."""
    found = [network.draft for record in records for network in _pruned(record)]
    found += [network.draft for network in _unpruned(records)]
    if not found:
        return None
    rows = finished(found, (DATA_SET, FLOW, NETWORK, RATE, SEED))
    return Table("table-confusion", "Accuracy by class, and the classes confused most", COLUMNS, rows, NOTES)


def _unpruned(records: Sequence[RunRecord]) -> Iterator[_Network]:
    """Dense and control networks; one that several records hold was trained once, and has one row."""
    networks: dict[tuple[object, ...], _Network] = {}
    for record in records:
        for name in cuts.BASES:
            if name in record.confusion and name != "sparse" and record.experiment != "ablation":
                training, matrix = record.training[name].without_clock(), record.confusion[name]
                made = repr(cuts.how_made(record, name))
                networks.setdefault(
                    (name, set_of(record), made, record.seed, training, matrix), _Network(record, name, matrix)
                )
    yield from networks.values()


def _pruned(record: RunRecord) -> Iterator[_Network]:
    """The network that a run ends with, and those that are trained anew in its shape; in an ablation the variant."""
    flow = flow_of(record) or record.experiment
    rate = share_cut(record)
    if (name := record.settings.get("variant", record.settings.get("networks"))) is not None:
        for matrix in list(record.confusion.values())[-1:]:
            yield _Network(record, str(name), matrix, flow)
    for name, matrix in record.confusion.items():
        if name.startswith("scratch"):
            yield _Network(record, name, matrix, flow, rate)
    if record.steps and (last := record.steps[-1].confusion):
        told = record.settings
        name = str(told.get("criterion", told.get("method", "pruned")))
        yield _Network(record, name, last, flow, 0.0 if record.steps[-1].method else rate)


def _scores(matrix: ConfusionMatrix, names: Sequence[str]) -> dict[str, Cell]:
    scores, evaluation = class_scores(matrix), matrix.evaluation
    low, high = wilson_interval(evaluation)
    lowest = int(scores.recall.argmin())
    pairs = [f"{names[true]} → {names[predicted]} {count}" for true, predicted, count in most_confused(matrix)]
    by_class = zip(scores.classes, scores.recall, strict=True)
    return {
        IMAGES.name: evaluation.images,
        TOP_1.name: 100 * evaluation.accuracy,
        LOW.name: 100 * low,
        HIGH.name: 100 * high,
        TOP_5.name: 100 * matrix.in_top_5 / evaluation.images if len(names) > 5 else None,
        **{column.name: 100 * score for column, score in zip(MACRO, scores.macro, strict=True)},
        LOWEST.name: f"{names[scores.classes[lowest]]} {scores.recall[lowest]:.0%} of {scores.images[lowest]}",
        CONFUSED.name: "; ".join(pairs[:SHOWN_PAIRS]),
        ALL_CONFUSED.name: "; ".join(pairs),
        ACCURACIES.name: "; ".join(f"{names[label]} {recall:.2%}" for label, recall in by_class),
    }
