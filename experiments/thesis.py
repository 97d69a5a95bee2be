"""All of chapter 4: every flow, rate and seed, for one data set or all three.

    python -m experiments.thesis --dataset cars --seeds 3

runs what tables 4.3 to 4.7 and our own figures need, and says after each run what is left and how long it will take.
It may be stopped and started again: a run that finished is found by its settings, one that did not goes on from its
last whole epoch, and what runs share is trained once. A seed of a drawn set takes about half an hour of one core.
--results results also puts the records where `python -m thesis_figures` reads them, and runs only what has none there;
--results and an empty folder makes all of them anew."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bcnn_prune.files import write_text
from bcnn_prune.protocol import Stopped
from bcnn_prune.records import RunRecord, to_json
from bcnn_prune.training.fit import Diverged
from data_prep.prepare import OFFICIAL
from experiments import cli, images
from experiments.chapter import ChapterSettings, Run, chapter
from experiments.estimate import in_words, seconds
from experiments.progress import terminal
from experiments.start import set_up


@dataclass(frozen=True, kw_only=True)
class Settings(ChapterSettings):
    """Those of the chapter, for which data and seeds, and where records go."""

    dataset: str = "all"
    """aircraft, birds or cars; a drawn set or a prepared subset; or all: the first three."""
    classes: Literal[20, 50] = 50
    """Classes of a drawn set."""
    flows: tuple[Literal["oneshot", "iterative", "soft", "criteria", "sweep", "ablation", "scratch"], ...] = ()
    """Only these of the chapter's flows; all if not given."""
    seeds: int = 1
    """How many seeds, from --seed on."""
    results: Path | None = None
    """Also write each record to <results>/<experiment>/<set>/<name>.json; a run that has one there is not run."""

    def check(self) -> None:
        super().check()
        if self.seeds < 1:
            raise ValueError(f"--seeds is {self.seeds}: take 1 or more")
        if self.dataset == "all" and self.data is not None:
            raise ValueError("--data names one file: name its --dataset too")


def main(settings: Settings) -> None:
    settings.check()
    console = terminal()
    sets = tuple(OFFICIAL) if settings.dataset == "all" else (settings.dataset,)
    infos = [images.find(name, settings.data, settings.classes, console)[1] for name in sets]
    seeds = range(settings.seed, settings.seed + settings.seeds)
    runs = [(info, run) for seed in seeds for info in infos for run in chapter(settings, info, seed)]
    runs = [(info, run) for info, run in runs if not settings.flows or run.experiment in settings.flows]
    records = [run.record(info, settings.results) for info, run in runs]
    finished, failed = sum(record is not None for record in records), list[str]()
    console.print(f"{len(runs)} runs in all, {finished} finished before.")
    for at, (info, run) in enumerate(runs):
        name = f"{run.experiment} {info.name} {run.settings.name()}"
        if records[at] is None:
            epochs = sum(other.epochs for (_, other), found in zip(runs, records, strict=True) if found is None)
            left = in_words(epochs * _seconds_an_epoch(records, run))
            console.rule(f"run {at + 1} of {len(runs)}: {run.experiment} on {info.name}")
            console.print(f"{run.settings.name()}. {records.count(None)} runs to go, about {left}.")
            try:
                run.main(run.settings)
            except (Stopped, Diverged) as error:
                failed.append(f"{name}: {error}")
                console.print(f"[bold]{failed[-1]}[/bold]")
                continue
            records[at] = run.record(info)
        record = records[at]
        if settings.results is not None and record is not None:
            write_text(run.among(settings.results, info), to_json(record))
    console.rule(f"{len(runs) - len(failed)} of {len(runs)} runs finished")
    if failed:
        raise Stopped(f"{len(failed)} runs came to no result: {'; '.join(failed)}")


def _seconds_an_epoch(records: Sequence[RunRecord | None], run: Run) -> float:
    """What an epoch took in the runs that finished; before there is one, a measured guess."""
    histories = [history for record in records if record is not None for history in record.training.values()]
    if histories:
        return sum(history.seconds for history in histories) / sum(len(history.epochs) for history in histories)
    start = set_up(run.settings)
    model = start.first_weights(start.spec(), start.recipes.weights)
    return seconds(start.bench, model, [replace(start.recipes.dense, epochs=1)])


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
