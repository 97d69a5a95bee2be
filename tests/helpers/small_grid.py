"""The whole grid on a set of three colours, in half a minute."""

from pathlib import Path
from unittest.mock import patch

from bcnn_prune.pruning.importance import CRITERIA
from bcnn_prune.records import RunRecord, read_record
from experiments import thesis
from tests.helpers.kills import killed
from tests.helpers.small_runs import settings_for

RUNS = {"oneshot": 8, "iterative": 2, "soft": 3, "criteria": len(CRITERIA), "sweep": 1, "ablation": 11, "scratch": 1}
DENSE_EPOCHS = 4


def settings(folder: Path, out: str, *flows: str) -> thesis.Settings:
    return thesis.Settings(
        **settings_for(
            folder,
            classifier_epochs=1,
            dense_epochs=DENSE_EPOCHS,
            sparse_epochs=3,
            fine_tune_epochs=1,
            min_channels=1,
            recalibrate=32,
        ),
        flows=flows,
        out=folder / out,
        results=folder / out / "results",
        backend="local",
    )


def in_a_child(folder: Path, out: str, *flows: str, kill_in_phase: int | None = None) -> bool:
    """Run the grid, or these flows of it; True if it was killed as its n-th phase began, False if it ended.

    Without the pixels of the γ figures: as many as there are runs, they would take longer than all training."""

    def begun() -> bool:
        return kill_in_phase is not None and len(list(folder.glob(f"{out}/phases/*/*"))) >= kill_in_phase

    with patch("thesis_figures.style.write", lambda _figure, path: path.touch()):
        return killed(lambda: thesis.main(settings(folder, out, *flows)), begun)


def records(folder: Path) -> dict[str, RunRecord]:
    return {str(path.relative_to(folder)): read_record(path) for path in sorted(folder.rglob("*.json"))}
