"""All that figures and tables are made of, read from the folder of results."""

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
    """What was measured; empty, or None, where nothing was."""

    records: Sequence[RunRecord] = ()
    """Of the flows' runs, with the times of one idle machine where they were taken."""
    samples: Path | None = None
    """The folder of sample images."""
    times: Sequence[CpuTimes] = ()
    """Networks beside the field's."""
    runtimes: RuntimeRecord | None = None
    """The thesis' published networks in every runtime."""
    deployed: Sequence[DeployReport] = ()
    """Trained networks in every runtime."""


def read(results: Path) -> Measured:
    """What `results` holds. Raises ValueError that names a file which is not what its name says."""
    samples = results / "samples"
    return Measured(
        records=flow_latency.clocked(runs.read(results), flow_latency.read(results)),
        samples=samples if samples.is_dir() else None,
        times=network_latency.read(results / "cpu_time"),
        runtimes=variants.runtimes(results),
        deployed=variants.deployed(results),
    )
