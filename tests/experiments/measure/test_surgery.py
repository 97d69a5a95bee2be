"""Surgery measured: peaks are seen, limits kill, the plan is carried out by both tools, and one record tells of it."""

import json
from pathlib import Path

import pytest
import torch

from bcnn_prune.spec import ModelSpec
from experiments.measure import surgery, surgery_worker
from experiments.measure.surgery import Settings, SurgeryCost, SurgeryRun
from experiments.measure.surgery_worker import Outcome, SurgeryJob
from experiments.run import cli

SPEC = ModelSpec(11, (3, 4, 5, 4, 6, 5, 4, 3), classes=3)


def test_the_peak_is_above_what_was_there_before() -> None:
    held = torch.ones(5_000_000)
    _, seconds, peak = surgery_worker.measured(lambda: torch.ones(10_000_000).sum() + held.sum())
    assert 35e6 < peak < 60e6
    _, shorter, nothing = surgery_worker.measured(lambda: None)
    assert nothing < 5e6
    assert min(seconds, shorter) > 0


def test_our_surgery_takes_away_what_the_plan_says() -> None:
    job = SurgeryJob("rebuild", SPEC, 0.4)
    outcome = surgery_worker.done(job)
    plan = surgery_worker.plan_for(job, surgery_worker.made(job))
    assert outcome.channels == round(0.4 * SPEC.channels) == SPEC.channels - plan.narrow(SPEC).channels
    assert outcome.columns_to_go == 9 - len(plan.kept["conv5_2"]) ** 2 > 0
    assert outcome.difference is not None
    assert outcome.difference < 1e-5


def test_torch_pruning_agrees_but_where_the_last_layer_is_cut() -> None:
    pytest.importorskip("torch_pruning")
    kept = surgery_worker.done(SurgeryJob("torch-pruning", SPEC, 0.4, last=False))
    assert kept.difference is not None
    assert kept.difference < 1e-5
    assert kept.columns_to_go == kept.columns_named == 0
    cut = surgery_worker.done(SurgeryJob("torch-pruning", SPEC, 0.4))
    gone = 3 - round((9 - cut.columns_to_go) ** 0.5)
    assert cut.columns_named == gone * 3**4  # it multiplies by C at each of four reshapes
    assert cut.difference is None
    assert "cannot be multiplied" in cut.failure


def test_a_process_beyond_its_limit_is_killed_and_told_of() -> None:
    large = surgery.run(SurgeryJob("rebuild", SPEC, 0.4), seconds=60, limit_bytes=1_000_000)
    assert (large.outcome, large.killed) == (None, "more than 0.001 GB")
    spec = ModelSpec.vgg(16, 3, 1 / 32)  # whose last layer takes seconds: far longer than from one look to the next
    slow = surgery.run(SurgeryJob("torch-pruning", spec, 0.4), seconds=0, limit_bytes=10**10)
    assert (slow.outcome, slow.killed) == (None, "more than 0 s")
    assert slow.reached in ("", *spec.layers)


def command(*arguments: str) -> None:
    cli.run(surgery.main, Settings, surgery.__doc__, arguments)


def test_the_command_writes_a_record_and_the_same_as_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch_pruning")

    def here(job: SurgeryJob, seconds: float, limit_bytes: int) -> SurgeryRun:
        if job.tool == "torch-pruning" and job.last:
            return SurgeryRun(job, None, "more than 1 s", "conv5_3", 1.0, 5_000_000_000)
        return SurgeryRun(job, Outcome(0.5, 100_000_000, 1, 9, 0, 0, 1e-7), "", "", 0.1, 1)

    monkeypatch.setattr(surgery, "run", here)
    command("--repeats", "2", "--shares", "0.4", "0.6", "--narrower", "0.25", "--out", str(tmp_path))
    found = surgery.JSON.structure(json.loads((tmp_path / "surgery.json").read_text()), SurgeryCost)
    assert len(found.runs) == 2 * (2 + 2 + 2) + 2  # what was killed is not repeated
    assert found.provenance["torch-pruning"]
    text = (tmp_path / "surgery.md").read_text()
    assert text.count("| rebuild ") == 4
    assert "killed at conv5_3: more than 1 s; 5.00 GB in all" in text


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("--repeats 0", "--repeats is 0"),
        ("--seconds 0", "--seconds is 0"),
        ("--seconds nan", "--seconds is nan"),
        ("--gigabytes inf", "--gigabytes is inf: take more than 0"),
        ("--gigabytes -1", "--gigabytes is -1"),
        ("--width inf", "--width is inf"),
        ("--width 0", "--width is 0"),
        ("--narrower 0.5 nan", "--narrower is nan"),
        ("--classes 0", "--classes is 0"),
        ("--shares nan", "--shares is nan"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(told: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command(*told.split())
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
