"""Load everything that figures and tables show from the folder of results."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bcnn_prune.records import (
    RunKey,
    RunRecord,
    counted,
    counters,
    file_latency,
    flow_latency,
    network_latency,
    surgery,
    timm_network,
)
from bcnn_prune.records.counted import CountedNetworks
from bcnn_prune.records.counters import CounterComparison
from bcnn_prune.records.deploy import DeployReport, report_of
from bcnn_prune.records.file_latency import FileTimes
from bcnn_prune.records.latency import RuntimeRecord
from bcnn_prune.records.network_latency import CpuTimes
from bcnn_prune.records.surgery import SurgeryCost
from bcnn_prune.records.timm_network import TimmNetworkRecord
from thesis_figures.analysis import compression, runs, variants


@dataclass(frozen=True)
class Measured:
    """All measurements; empty or None where there are none."""

    records: Sequence[RunRecord] = ()
    """Records of the flows' runs, with latencies of one idle machine where they were measured."""
    paths: Sequence[Path] = ()
    """The file of each of these records, in their order."""
    samples: Path | None = None
    """The folder of sample images."""
    times: Sequence[CpuTimes] = ()
    """CPU times of our networks and of the field's, by batch size."""
    runtimes: Sequence[RuntimeRecord] = ()
    """The thesis' published networks in every runtime, by machine."""
    deployed: Sequence[DeployReport] = ()
    """Trained networks in every runtime."""
    compressed: Mapping[RunKey, DeployReport] = field(default_factory=dict)
    """The same for the networks of experiments.compress, by run."""
    files: FileTimes | None = None
    """CPU times of the files of networks that were compared at equal cost or made small by a method."""
    timm: Sequence[TimmNetworkRecord] = ()
    """Networks of timm that were trained on our sets."""
    counters: CounterComparison | None = None
    """Costs of networks by several counters."""
    surgery: SurgeryCost | None = None
    """Time and memory of surgery."""
    counted: CountedNetworks | None = None
    """torchvision's networks by torch's counter."""


def read(results: Path) -> Measured:
    """Read all of `results`. Raises ValueError that names a file which does not hold what its name says."""
    samples = results / "samples"
    counts, surgeries = counters.file_of(results / "cost"), surgery.file_of(results / "surgery")
    networks = counted.file_of(results / "reference")
    found = runs.read(results)
    return Measured(
        records=flow_latency.clocked(list(found.values()), flow_latency.read(results)),
        paths=tuple(found),
        samples=samples if samples.is_dir() else None,
        times=network_latency.read(results / "cpu_time"),
        runtimes=variants.runtimes(results),
        deployed=variants.deployed(results),
        compressed=dict(_compressed(found)),
        files=file_latency.read(results),
        timm=timm_network.read(results),
        counters=counters.read_counters(counts) if counts.is_file() else None,
        surgery=surgery.read_surgery(surgeries) if surgeries.is_file() else None,
        counted=counted.read_counted(networks) if networks.is_file() else None,
    )


def _compressed(found: Mapping[Path, RunRecord]) -> Iterable[tuple[RunKey, DeployReport]]:
    for path, record in found.items():
        if record.experiment == compression.EXPERIMENT and (report := report_of(path)):
            if not report.is_of(record):
                raise ValueError(
                    f"{path}: the report of deploying is of another network, or of some test images: deploy it again"
                )
            yield record.key, report
