"""Ours: every way to make a network small, against the dense network that trains as long."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

from bcnn_prune.evaluation.by_class import class_scores
from bcnn_prune.evaluation.cost import file_bytes
from bcnn_prune.records import RunKey, RunRecord
from bcnn_prune.records.deploy import DeployReport
from bcnn_prune.records.file_latency import FileTimes
from bcnn_prune.records.timm_network import TimmNetworkRecord
from thesis_figures.analysis import variants
from thesis_figures.analysis.compression import EXPERIMENT, Method, methods
from thesis_figures.analysis.equal_cost import AS_LONG, t_half_width
from thesis_figures.analysis.runs import Spread, differences, over, set_of, tested
from thesis_figures.analysis.sets import by_unpruned
from thesis_figures.tables.cells import (
    DATA_SET,
    DIFFERS,
    MS,
    MS_SHARE,
    PARAMS,
    RUNS,
    SHARE,
    how_timed,
    settings_of,
)
from thesis_figures.tables.table import Cell, Column, Row, Table

METHOD, BUDGET = Column("method", "method"), Column("budget", "budget")
ACCURACY = Column("accuracy_percent", "test\naccuracy %", ".2f", spread=True, deviation=False)
INTERVAL = Column("accuracy_interval", "± 95 %", ".2f")
MACRO_F1 = Column("macro_f1_percent", "macro\nF1 %", ".2f", spread=True, deviation=False)
CHANGE = Column("to_dense_as_long_points", "to dense\nas long", "+z.2f", spread=True, deviation=False)
CHANGE_INTERVAL = Column("to_dense_as_long_interval", "± 95 %", ".2f")
BEFORE = Column("before_percent", "before\ntraining %", ".2f", spread=True, deviation=False)
MACS = Column("mmacs", "M\nmultiply-adds", ".4g", spread=True, deviation=False)
NONZERO_MACS = Column("nonzero_mmacs", "M by weights\nnot zero", ".4g", spread=True, deviation=False)
KBYTES = Column("kbytes", "kB in\nfp32", ",.0f", spread=True, deviation=False)
BITS = (8, 4)
PACKED = {
    bits: (
        Column(f"kbytes_{bits}bit", f"kB,\n{bits} bits", ",.0f", spread=True, deviation=False),
        Column(f"accuracy_{bits}bit_percent", f"%,\n{bits} bits", ".2f", spread=True, deviation=False),
    )
    for bits in BITS
}
INT8 = "onnx-int8"
INT8_KBYTES = Column("kbytes_int8", "kB,\nONNX int8", ",.0f", spread=True, deviation=False)
INT8_ACCURACY = Column("accuracy_int8_percent", "%,\nONNX int8", ".2f", spread=True, deviation=False)
FASTEST, FASTEST_MS = Column("fastest", "fastest file"), Column("fastest_ms", "its ms,\nbatch 1", ".2f", spread=True)
NONZERO = Column("nonzero", "parameters\nnot zero", ",.0f", spread=True, deviation=False)
COLUMNS = (
    *(DATA_SET, METHOD, BUDGET, DIFFERS, RUNS, ACCURACY, INTERVAL, MACRO_F1, CHANGE, CHANGE_INTERVAL, BEFORE),
    *(
        PARAMS,
        SHARE,
        NONZERO,
        MACS,
        NONZERO_MACS,
        KBYTES,
        *(column for columns in PACKED.values() for column in columns),
    ),
    *(INT8_KBYTES, INT8_ACCURACY, MS, MS_SHARE, FASTEST, FASTEST_MS),
)
NOTES = (
    "All are trained for as many epochs in all, from the same first weights or from the dense network of their seed. "
    "Val chose the epoch that was kept; test was read once.",
    "± 95 %: half of the t interval over n seeds. Differences are points of test accuracy to the dense network in one "
    "phase of as many epochs, paired by seed. Before training: BN statistics recomputed; a network that trains from "
    "the start is at chance there.",
    "8 and 4 bits: at most 256 and 16 values for each layer's weights, by k-means, and Huffman codes; where weights "
    "are zero, relative indices (Han et al. 2016). Files were written and read back.",
)
OF_TIMM = (
    "timm's networks are made small by none of these methods: they start from weights of their own, and train for as "
    "many epochs as their records say."
)


def table(
    records: Sequence[RunRecord],
    deployed: Mapping[RunKey, DeployReport],
    files: FileTimes | None,
    timm: Sequence[TimmNetworkRecord] = (),
) -> Table | None:
    """A row for each set, method and budget, with the files of `deployed` and the times of `files`, and one for each
    network of timm that was trained on such a set; None where no record compares methods."""
    by_set: dict[str, list[RunRecord]] = {}
    for record in records:
        if record.experiment == EXPERIMENT:
            by_set.setdefault(set_of(record), []).append(record)
    sets = {label: runs for name in sorted(by_set) for label, runs in by_unpruned(name, by_set[name]).items()}
    beside: dict[str, list[TimmNetworkRecord]] = {}
    for one in timm:  # below the first label of their images
        label = next((label for label, runs in sets.items() if runs[0].data.digest == one.data.digest), "")
        beside.setdefault(label, []).append(one)
    rows = tuple(
        row for name, runs in sets.items() for row in _of_set(name, runs, deployed, files, beside.get(name, ()))
    )
    notes = (
        *NOTES,
        *_of_reports(deployed.values()),
        *([OF_TIMM] if timm else []),
        *([how_timed(files)] if files else []),
    )
    return Table("table-compression", "Ways to make a network small", COLUMNS, rows, notes) if rows else None


def _of_set(
    label: str,
    records: Sequence[RunRecord],
    deployed: Mapping[RunKey, DeployReport],
    files: FileTimes | None,
    timm: Sequence[TimmNetworkRecord],
) -> Iterator[Row]:
    whole = records[0]
    dense = files.of([(whole.data.side, whole.spec)]) if files else []
    sizes: dict[str, Cell] = {PARAMS.name: Spread.of([whole.cost.params]), SHARE.name: Spread.of([1.0])}
    sizes |= {MACS.name: Spread.of([whole.cost.macs / 1e6]), KBYTES.name: Spread.of([file_bytes(whole.spec) / 1e3])}
    for trained_for, accuracy in dense_as_long(records).items():
        name = {DATA_SET.name: label, METHOD.name: f"dense, trained as long{trained_for}"}
        yield {**name, **_accuracy(accuracy), **sizes, **_times(dense, dense)}
    groups: dict[tuple[str, str], list[Method]] = {}
    for method in methods(records):
        groups.setdefault((method.name, method.budget), []).append(method)
    for alike in groups.values():
        for method, differs in zip(alike, differences([settings_of(one.runs[0]) for one in alike]), strict=True):
            reports = [report for run in method.runs if (report := deployed.get(run.key))]
            ms = files.of(method.shapes) if files else []
            files_of = _files(reports) if len(reports) == len(method.runs) else {}
            cells = {**_row(method), **files_of, **_times(ms, dense), DIFFERS.name: differs or None}
            yield {**cells, DATA_SET.name: label}
    trained: dict[tuple[object, ...], list[TimmNetworkRecord]] = {}
    for record in timm:
        trained.setdefault((record.network, record.weights, record.recipe), []).append(record)
    for of_network in trained.values():
        if len({record.seed for record in of_network}) < len(of_network):
            raise ValueError(f"two records of {of_network[0].network} on {label} have the same settings and seed")
        ms = [taken for record in of_network for taken in files.of_timm(record)] if files else []
        yield {**_timm_row(label, of_network, whole), **_times(ms, dense)}


def dense_as_long(records: Sequence[RunRecord]) -> dict[str, Spread]:
    """Test accuracy of the control by its epochs, in words; these are empty where all have as many."""
    lengths: dict[int, list[RunRecord]] = {}
    for record in records:
        if AS_LONG in record.test:
            lengths.setdefault(len(record.training[AS_LONG].epochs), []).append(record)
    found = {}
    for epochs, runs in sorted(lengths.items()):
        seeds = [fmean(100 * one.accuracy for one in of_seed) for of_seed in tested(runs, AS_LONG)]
        found[f", {epochs} epochs" * (len(lengths) > 1)] = Spread.of(seeds)
    return found


def _row(method: Method) -> Row:
    runs, steps = method.runs, method.steps
    pairs = [(step.final, run.test[AS_LONG]) for step, run in zip(steps, runs, strict=True) if AS_LONG in run.test]
    change = over(100 * (small.accuracy - dense.accuracy) for small, dense in pairs)
    row: dict[str, Cell] = {
        METHOD.name: method.name,
        BUDGET.name: method.budget,
        **_accuracy(Spread.of([100 * found.accuracy for found in method.tested])),
        MACRO_F1.name: over(100 * class_scores(step.confusion).macro[2] for step in steps if step.confusion),
        CHANGE.name: change,
        CHANGE_INTERVAL.name: change and t_half_width(change),
        BEFORE.name: over(100 * (step.recalibrated or step.rebuilt).accuracy for step in steps if step.fine_tuned),
        PARAMS.name: Spread.of([step.cost.params for step in steps]),
        SHARE.name: Spread.of([step.cost.params / run.cost.params for step, run in zip(steps, runs, strict=True)]),
        NONZERO.name: over(packed.nonzero for packed in method.packed(BITS[0])),
        MACS.name: Spread.of([step.cost.macs / 1e6 for step in steps]),
        NONZERO_MACS.name: _nonzero_macs(method),
        KBYTES.name: Spread.of([file_bytes(step.spec) / 1e3 for step in steps]),
    }
    for bits, (size, accuracy) in PACKED.items():
        row[size.name] = over(packed.file_bytes / 1e3 for packed in method.packed(bits))
        row[accuracy.name] = over(100 * packed.test.accuracy for packed in method.packed(bits))
    return row


def _nonzero_macs(method: Method) -> Spread | None:
    """Of networks some of whose weights are zero, as far as they were counted."""
    stored = [(packed, step.cost) for step in method.steps for packed in step.packed if packed.bits == BITS[0]]
    counts = [packed.nonzero_macs for packed, cost in stored if packed.nonzero < cost.params]
    return over(macs / 1e6 for macs in counts if macs is not None)


def _timm_row(label: str, records: Sequence[TimmNetworkRecord], whole: RunRecord) -> Row:
    """A network of timm, over seeds."""
    first, tested = records[0], [record.test.evaluation.accuracy for record in records]
    weights = "from fresh weights" if first.weights == "none" else f"from {first.weights} weights"
    return {
        DATA_SET.name: label,
        METHOD.name: f"timm {first.network}, {weights}",
        **_accuracy(Spread.of([100 * accuracy for accuracy in tested])),
        MACRO_F1.name: Spread.of([100 * class_scores(record.test).macro[2] for record in records]),
        PARAMS.name: Spread.of([first.cost.params]),
        SHARE.name: Spread.of([first.cost.params / whole.cost.params]),
        MACS.name: Spread.of([first.cost.macs / 1e6]),
        KBYTES.name: Spread.of([first.file_bytes / 1e3]),
    }


def _of_reports(reports: Iterable[DeployReport]) -> list[str]:
    """A note on the int8 files and the fastest ones; none where no network was deployed."""
    bits = sorted({8 if report.vnni else 7 for report in reports})
    machines = (report.provenance for report in reports if report.times)
    timed_on = sorted({f"{told.get('cpu', '?')} ({told.get('instructions', '?')})" for told in machines})
    if not bits:
        return []
    return [
        f"ONNX int8: {' or '.join(map(str, bits))} bits per weight and 8 per activation, calibrated on val images; "
        "empty unless the networks of all seeds were deployed. Fastest file: of those of ONNX Runtime and OpenVINO in "
        "fp32 and int8 that were timed with its weights, the one with the least median time at batch 1; on "
        f"{' and '.join(timed_on) or 'no machine yet'}."
    ]


def _files(reports: Sequence[DeployReport]) -> Row:
    """The int8 files, and the file that took least time on average over the networks that were timed."""
    int8 = [report.variants[INT8] for report in reports if INT8 in report.variants]
    row: dict[str, Cell] = {
        INT8_KBYTES.name: over(variant.bytes / 1e3 for variant in int8),
        INT8_ACCURACY.name: over(100 * variant.test.accuracy for variant in int8),
    }
    ms: dict[str, list[float]] = {}
    for times in (report.times for report in reports if report.times):
        for way in variants.FILES:
            if timing := times.at(way, batch=1):
                ms.setdefault(way, []).append(timing.latency.median_ms)
    if ms:
        fastest = min(ms, key=lambda way: fmean(ms[way]))
        row |= {FASTEST.name: variants.label(fastest), FASTEST_MS.name: Spread.of(ms[fastest])}
    return row


def _times(ms: Sequence[float], dense: Sequence[float]) -> Row:
    return {MS.name: over(ms), MS_SHARE.name: over(taken / dense[0] for taken in ms) if dense else None}


def _accuracy(accuracy: Spread) -> dict[str, Cell]:
    return {RUNS.name: accuracy.n, ACCURACY.name: accuracy, INTERVAL.name: t_half_width(accuracy)}
