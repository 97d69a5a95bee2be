"""A run in words: its command, settings, networks, confused classes and provenance."""

import hashlib
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from bcnn_prune.command_line.parse import option
from bcnn_prune.evaluation.by_class import most_confused, wilson_interval
from bcnn_prune.records import Cost, Evaluation, RunRecord
from bcnn_prune.records.json_file import CONVERTER
from thesis_figures.analysis.runs import set_of, share_cut, sweep_rates

PAIRS = 5
"""Pairs of classes that are shown."""
TELLING = (
    "variant",
    "networks",
    "sides",
    "method",
    "student",
    "prune",
    "keep_macs",
    "rules",
    "allocation",
    "distil",
    "every",
    "ramp",
    "last_sparsity",
    "criterion",
    "rule",
    "steps",
    "fine_tune_epochs",
    "fine_tune_rate",
)
"""Settings that tell runs of an experiment apart."""
SEVERAL = ("rates", "keep_macs", "keep_ms", "rules", "shares", "networks", "sides")
"""Settings that may have several values, which records join with a plus."""
RANKED = ("oneshot", "iterative", "soft", "criteria", "sweep", "scratch")
"""Experiments with one rule; a record that names none was ranked by the thesis'."""


@dataclass(frozen=True)
class NetworkRow:
    """A network of a run."""

    name: str
    tested: Evaluation
    cost: Cost

    @property
    def accuracy(self) -> str:
        """In per cent, with its 95 % interval and counts."""
        low, high = wilson_interval(self.tested)
        counts = f"{self.tested.correct:,} of {self.tested.images:,}"
        return f"{self.tested.accuracy:.2%} [{low:.1%} to {high:.1%}], {counts}"


@dataclass(frozen=True)
class RunView:
    """A run as the page shows it."""

    record: RunRecord
    file: str = ""
    """Path of its record from the page."""

    @property
    def anchor(self) -> str:
        return anchor(self.record)

    @property
    def set(self) -> str:
        return set_of(self.record)

    @property
    def title(self) -> str:
        """Experiment and the settings that tell runs of it apart."""
        told = {name: self.record.settings.get(name) for name in TELLING}
        parts = [f"{name} {value}" for name, value in told.items() if value is not None]
        return ", ".join([f"{self.record.experiment} on {self.set}", *parts, f"seed {self.record.seed}"])

    @property
    def command(self) -> str:
        return command(self.record)

    @property
    def networks(self) -> list[NetworkRow]:
        return list(rows(self.record))

    @property
    def confused(self) -> list[str]:
        return confused(self.record)

    @property
    def provenance(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.record.provenance.items())


def anchor(record: RunRecord) -> str:
    """The name of a run in the page, which no other run of the records has; made of what its file says."""
    told = json.dumps([record.data.digest, dict(record.settings), CONVERTER.unstructure(record.recipes)])
    return f"{record.experiment}-{record.data.name}-seed{record.seed}-{hashlib.sha256(told.encode()).hexdigest()[:6]}"


def command(record: RunRecord) -> str:
    """The command that makes the run again, every setting written out; None and empty ones are the defaults."""
    words = ["python", "-m", f"experiments.{record.experiment}"]
    for name, value in record.settings.items():
        if isinstance(value, bool):
            words.append(option(name if value else f"no-{name}"))
        elif value is not None:
            words += [option(name), *(filter(None, str(value).split("+")) if name in SEVERAL else [str(value)])]
    if record.experiment in RANKED and "rule" not in record.settings:
        words += ["--rule", "thesis"]
    return shlex.join(words)


def rows(record: RunRecord) -> Iterator[NetworkRow]:
    """The networks that were evaluated, in the order of training."""
    for name, tested in record.test.items():
        yield NetworkRow(name, tested, record.steps[-1].cost if name.startswith("scratch") else record.cost)
    for i, step in enumerate(record.steps):
        cut = step.method.replace("_", " ") if step.method else f"{share_cut(record, i):.0%} cut"
        stages = {"right after": step.rebuilt, "repaired": step.repaired, "BN recomputed": step.recalibrated}
        for stage, found in {**stages, "fine-tuned": step.fine_tuned}.items():
            if found:
                yield NetworkRow(f"{cut}, {stage}", found, step.cost)
    for rate, step in zip(sweep_rates(record), record.sweep, strict=True):
        yield NetworkRow(f"{rate:.0%} cut, right after", step.rebuilt, step.cost)
    for one in record.compared:
        yield NetworkRow(f"{one.selection}, {one.budget}", one.test, one.cost)


def confused(record: RunRecord) -> list[str]:
    """The classes that the last network confuses most; empty where no record was kept."""
    kept = record.steps[-1].confusion if record.steps else next(reversed(tuple(record.confusion.values())), None)
    names = record.data.class_names
    return (
        [f"{names[true]} → {names[found]} {count}" for true, found, count in most_confused(kept, PAIRS)] if kept else []
    )
