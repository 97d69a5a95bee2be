"""Load everything that figures and tables show from the folder of results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bcnn_prune.records import RunRecord, flow_latency, network_latency
from bcnn_prune.records.deploy import DeployReport
from bcnn_prune.records.latency import RuntimeRecord
from bcnn_prune.records.network_latency import CpuTimes
from thesis_figures.analysis import runs, variants


@dataclass(frozen=True)
class Measured:
    """All measurements; empty or None where there are none."""

    records: Sequence[RunRecord] = ()
    """Records of the flows' runs, with latencies of one idle machine where they were measured."""
    samples: Path | None = None
    """The folder of sample images."""
    times: Sequence[CpuTimes] = ()
    """CPU times of our networks and of the field's, by batch size."""
    runtimes: RuntimeRecord | None = None
    """The thesis' published networks in every runtime."""
    deployed: Sequence[DeployReport] = ()
    """Trained networks in every runtime."""


def read(results: Path) -> Measured:
    """Read all of `results`. Raises ValueError that names a file which does not hold what its name says."""
    samples = results / "samples"
    return Measured(
        records=flow_latency.clocked(runs.read(results), flow_latency.read(results)),
        samples=samples if samples.is_dir() else None,
        times=network_latency.read(results / "cpu_time"),
        runtimes=variants.runtimes(results),
        deployed=variants.deployed(results),
    )
