"""The whole chapter on a set that a few channels learn, in half a minute."""

from pathlib import Path

from bcnn_prune.records import RunRecord, read_record
from experiments import thesis
from tests.kills import killed

RUNS = {"oneshot": 8, "iterative": 2, "soft": 3, "criteria": 4, "sweep": 1, "ablation": 6, "scratch": 1}


def settings(folder: Path, out: str) -> thesis.Settings:
    return thesis.Settings(
        dataset="drawn-cars3",
        data=folder / "set.h5",
        depth=11,
        width=0.06,
        dense_epochs=8,
        sparse_epochs=4,
        fine_tune_epochs=1,
        sparsity=0.02,
        floor=1,
        recalibrate=32,
        trunk="fp32",
        out=folder / out,
        results=folder / out / "results",
        on="here",
    )


def in_a_child(folder: Path, out: str, kill_in_phase: int | None = None) -> bool:
    """Run the chapter; True if it was killed as its n-th phase began, False if it ended."""

    def begun() -> bool:
        return kill_in_phase is not None and len(list(folder.glob(f"{out}/phases/*/*"))) >= kill_in_phase

    return killed(lambda: thesis.main(settings(folder, out)), begun)


def records(folder: Path) -> dict[str, RunRecord]:
    return {str(path.relative_to(folder)): read_record(path) for path in sorted(folder.rglob("*.json"))}
