"""CPU times of the networks that runs ended with, measured on one idle machine by experiments.measure.flow_latency.

What a run timed itself tells of the machine it trained on, and of whatever else that machine was doing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bcnn_prune.records import Latency, RunRecord, json_file
from bcnn_prune.spec import ModelSpec

TIMED_ON = "timed_on"
Shape = tuple[int, ModelSpec, ModelSpec]
"""All that decides the time of a run's last network beside its dense one: side in pixels, dense, pruned."""


@dataclass(frozen=True)
class PairTimes:
    """A pruned network and the dense one that it was cut from, fresh weights, timed in turn."""

    side: int
    """Pixels."""
    dense: ModelSpec
    pruned: ModelSpec
    latency: Mapping[str, Latency]
    """Of "dense" and of "pruned", as in a record."""


@dataclass(frozen=True)
class FlowTimes:
    """All pairs, from one go on one machine."""

    pairs: tuple[PairTimes, ...]
    provenance: Mapping[str, str]


def file_of(results: Path) -> Path:
    return results / "cpu_time" / "flows.json"


def shape(record: RunRecord) -> Shape | None:
    """The networks to be timed for a run; None if it cut nothing."""
    return (record.data.side, record.spec, record.steps[-1].spec) if record.steps else None


def read(results: Path) -> FlowTimes | None:
    """None where nothing was timed. Raises ValueError that names a file which holds no such times."""
    path = file_of(results)
    return json_file.read(path, FlowTimes, "file of CPU times") if path.is_file() else None


def clocked(records: list[RunRecord], times: FlowTimes | None) -> list[RunRecord]:
    """The records with the latency of `times`, and in provenance its processor as `timed_on`, in place of what each run
    timed by itself.

    One that is not among them has none: times of two machines are not set side by side. The course documents' networks,
    which are not pruned, keep their own, as all runs do without `times`."""
    if times is None:
        return records
    found: dict[Shape | None, Mapping[str, Latency]] = {
        (pair.side, pair.dense, pair.pruned): pair.latency for pair in times.pairs
    }
    place = {TIMED_ON: times.provenance["cpu"]}

    def with_time(record: RunRecord) -> RunRecord:
        latency = found.get(shape(record), {})
        return replace(record, latency=latency, provenance={**record.provenance, **(place if latency else {})})

    return [record if record.is_exercise else with_time(record) for record in records]
