"""The records of CPU time: read, and each way to run a network by the name that figures and tables give it."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from bcnn_prune.records import RECORD, read_record
from bcnn_prune.records.deploy import DEPLOYED, FOLDER, REPORT, DeployReport, read_report
from bcnn_prune.records.latency import DENSE, SILENCED, NetworkTimes, RuntimeRecord, Timing, read_times
from thesis_figures.analysis.compression import EXPERIMENT
from thesis_figures.analysis.runs import known_first, set_of

WAYS = {
    DENSE: "unpruned, eager",
    SILENCED: "silenced, not rebuilt",
    "torch": "rebuilt, eager",
    "torch-folded": "folded, channels-last",
    "onnx": "ONNX Runtime fp32",
    "onnx-int8": "ONNX Runtime int8",
    "openvino": "OpenVINO fp32",
    "openvino-bf16": "OpenVINO bf16",
    "openvino-int8": "OpenVINO int8",
}
"""In the order in which they are shown; ways that are not here come after these, by their own name."""
FILES = tuple(way for way in WAYS if way.startswith(("onnx", "openvino")))
"""Those that run from a file, without this project."""
INSTRUCTIONS = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "VNNI", "avx512_bf16": "bf16"}
"""Instructions that decide a runtime's speed, by their names in records; AVX-512 stands in AVX2's place."""


def runtimes(results: Path) -> tuple[RuntimeRecord, ...]:
    """The records of experiments.measure.runtimes, one per machine: runtimes.json, then those with more in the name."""
    paths = sorted((results / "cpu").glob("runtimes*.json"), key=lambda path: path.stem)
    return tuple(record for record in map(read_times, paths) if record.networks)


def deployed(results: Path) -> list[DeployReport]:
    """The reports of experiments.deploy, in the order of their paths: where --results put them or, where it did not,
    beside a run's files; with the name that tables give the set of their run. Those of experiments.compress are left
    out: they stand with its runs."""
    reports = sorted((results / FOLDER).glob("*/*.json"))
    paths = [path for path in reports if not path.name.startswith(f"{EXPERIMENT}-")]
    for path in sorted(results.glob(f"*/*/*/{DEPLOYED}/{REPORT}")):
        experiment, data_set, name = path.relative_to(results).parts[:3]
        if experiment != EXPERIMENT and results / FOLDER / data_set / f"{experiment}-{name}.json" not in paths:
            paths.append(path)
    return [_labelled(read_report(path), path, results) for path in paths]


def _labelled(report: DeployReport, path: Path, results: Path) -> DeployReport:
    """The report with the label of its run's set, which says how its networks began, where the run has a record."""
    experiment, _, name = path.stem.partition("-")
    found = (results / experiment / report.dataset / f"{name}.json", path.parents[1] / RECORD)
    records = [read_record(record) for record in found if record.is_file()]
    return replace(report, dataset=set_of(records[0])) if records else report


def batches(record: RuntimeRecord) -> list[int]:
    """The batch sizes that were timed."""
    return sorted({timing.latency.batch for network in record.networks for timing in network.times.ways[DENSE]})


def processor(record: RuntimeRecord) -> str:
    """The processor by the instructions that decide, where several are compared: AVX-512, VNNI, bf16."""
    has = record.networks[0].provenance["instructions"].split()
    found = [name for instruction, name in INSTRUCTIONS.items() if instruction in has]
    return ", ".join(found[("avx512f" in has and "avx2" in has) :]) or record.networks[0].provenance["cpu"]


def machine(record: RuntimeRecord) -> str:
    """The processor, its vector instructions and the threads: a record holds the times of a single machine."""
    provenance = record.networks[0].provenance
    return f"{provenance['cpu']} ({provenance['instructions']}), {provenance['threads']} threads"


def ways(names: Iterable[str]) -> list[str]:
    """The ways in the order in which they are shown."""
    return known_first(names, WAYS)


def label(way: str) -> str:
    """The name of a way in figures and tables."""
    return WAYS.get(way, way)


def timings(network: NetworkTimes, batch: int) -> dict[str, Timing]:
    """The timing of each way that was timed, in the order of `ways`."""
    timed = {way: network.times.at(way, batch) for way in ways(network.times.ways)}
    return {way: timing for way, timing in timed.items() if timing is not None}
