"""CPU time, ours: published widths in every runtime, and what trained networks keep there."""

from collections.abc import Iterator, Mapping, Sequence

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.records.deploy import ORIGINAL, DeployReport
from bcnn_prune.records.latency import RuntimeRecord, Times
from thesis_figures.analysis import variants
from thesis_figures.analysis.runs import over
from thesis_figures.tables.cells import DATA_SET
from thesis_figures.tables.table import Cell, Column, Row, Table

WAY = Column("way", "way")
MS = Column("ms_median", "ms", ",.2f")
SPEED_UP = Column("speed_up_median", "times as fast\nas unpruned, eager", ",.2f")
RUNTIME_COLUMNS = (
    Column("processor", "processor"),
    Column("network", "network"),
    Column("multiple", "widths\nin", "d"),
    Column("params", "parameters", ",d"),
    Column("gmacs", "G\nmultiply-adds", ".3g"),
    Column("batch", "batch", "d"),
    WAY,
    MS,
    *(Column("ms_lower_quartile", "from", ",.2f"), Column("ms_upper_quartile", "to", ",.2f")),
    SPEED_UP,
    *(Column("speed_up_lower_quartile", "from", ",.2f"), Column("speed_up_upper_quartile", "to", ",.2f")),
    Column("share_of_peak", "of fp32\npeak", ".0%"),
    Column("rounds", "n", "d"),
    Column("load", "load", ".2f"),
)
DEPLOYED_COLUMNS = (
    DATA_SET,
    WAY,
    Column("networks", "n", "d"),
    Column("accuracy_percent", "test\naccuracy %", ".2f", spread=True),
    Column("change", "change to\neager, points", "+.2f", spread=True),
    Column("worst_change", "worst\nchange", "+.2f"),
    Column("agreement_percent", "same class\nas eager, %", ".2f", spread=True),
    *(Column(f"ms_{batch}", f"ms,\nbatch {batch}", ",.2f", spread=True) for batch in (1, 8)),
    *(Column(f"speed_up_{batch}", f"times as fast,\nbatch {batch}", ",.2f", spread=True) for batch in (1, 8)),
)


def published(records: Sequence[RuntimeRecord]) -> Table:
    """A row per machine, network, batch size and way."""
    rows = tuple(row for record in records for row in _of_machine(record))
    sides = " and ".join(str(side) for side in sorted({one.side for record in records for one in record.networks}))
    machines = "; ".join(map(variants.machine, records))
    notes = (
        f"{machines}; images of {sides} px, random weights of the published widths. Median and "
        "quartiles over n rounds; in a round every way has its turn in a process of its own, and its speed-up is over "
        "the unpruned network's time in the same round. Load: cores that other work kept busy.",
        "Widths in multiples of 8 or 16 are rounded up, at most to the unpruned network's. The share of the peak is of "
        "the fastest fp32 matrix product with as many threads, for bf16 and int8 too.",
    )
    return Table("table-runtimes", "Published networks on a CPU, in each runtime", RUNTIME_COLUMNS, rows, notes)


def _of_machine(record: RuntimeRecord) -> Iterator[Row]:
    for network in record.networks:
        cost = total_cost(network.spec, network.side)
        about: dict[str, Cell] = {
            "processor": variants.processor(record),
            "network": network.network,
            "multiple": network.multiple,
            "params": cost.params,
            "gmacs": cost.macs / 1e9,
        }
        for batch in variants.batches(record):
            for way, timing in variants.timings(network, batch).items():
                ms, ratio = timing.latency, timing.speed_up
                yield {
                    **about,
                    "batch": batch,
                    WAY.name: variants.label(way),
                    MS.name: ms.median_ms,
                    "ms_lower_quartile": ms.lower_quartile_ms,
                    "ms_upper_quartile": ms.upper_quartile_ms,
                    SPEED_UP.name: ratio.median,
                    "speed_up_lower_quartile": ratio.lower_quartile,
                    "speed_up_upper_quartile": ratio.upper_quartile,
                    "share_of_peak": network.times.share_of_peak(timing),
                    "rounds": ms.rounds,
                    "load": ms.load,
                }


def deployed(reports: Sequence[DeployReport]) -> Table:
    """A row per data set and way, over all networks that were deployed."""
    by_set: dict[str, list[DeployReport]] = {}
    for report in reports:
        by_set.setdefault(report.dataset, []).append(report)
    timed = [way for report in reports if report.times is not None for way in report.times.ways]
    ways = variants.ways([*timed, *(way for report in reports for way in report.variants)])
    rows = [_over(label, way, of_set) for label, of_set in sorted(by_set.items()) for way in ways]
    notes = (
        "Mean ± standard deviation (n − 1) over n trained networks, which differ in flow, share cut and seed; the "
        "change is to the same network, eager in fp32, on the same test images, and the worst one is that of a single "
        "network. int8 was calibrated on val images.",
        *_kept(reports),
    )
    title = "What trained networks keep in each runtime"
    return Table("table-deployed", title, DEPLOYED_COLUMNS, tuple(row for row in rows if row), notes)


def _over(label: str, way: str, reports: Sequence[DeployReport]) -> dict[str, Cell]:
    """The row of one way; empty where no report has it."""
    with_way = [report for report in reports if way in report.variants]
    times = [report.times for report in reports if report.times is not None and way in report.times.ways]
    if not with_way and not times:
        return {}
    counted = [(report.variants[way], report.variants[ORIGINAL]) for report in with_way]
    changes = [
        100 * (variant.test.correct - original.test.correct) / variant.test.images for variant, original in counted
    ]
    return {
        DATA_SET.name: label,
        WAY.name: variants.label(way),
        "networks": len(with_way) or len(times),
        "accuracy_percent": over(100 * variant.test.accuracy for variant, _ in counted),
        "change": over(changes),
        "worst_change": min(changes, default=None),
        "agreement_percent": over(100 * variant.agreement for variant, _ in counted),
        **_timed(times, way),
    }


def _timed(times: Sequence[Times], way: str) -> Mapping[str, Cell]:
    cells: dict[str, Cell] = {}
    for batch in (1, 8):
        timings = [timing for one in times if (timing := one.at(way, batch)) is not None]
        cells[f"ms_{batch}"] = over(timing.latency.median_ms for timing in timings)
        cells[f"speed_up_{batch}"] = over(timing.speed_up.median for timing in timings)
    return cells


def _kept(reports: Sequence[DeployReport]) -> tuple[str, ...]:
    """The layers that int8 leaves in fp32 beyond the pooled product and its root, where it does."""
    kept = sorted({", ".join(report.kept) for report in reports if report.kept})
    return (f"In fp32 within int8, in some networks: {'; '.join(kept)}.",) if kept else ()
