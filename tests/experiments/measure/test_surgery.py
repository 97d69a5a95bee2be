"""Surgery measured: peak memory, limits that kill, the same plan by both tools, and one record."""

from pathlib import Path

import pytest
import torch

from bcnn_prune.records.surgery import SurgeryJob, SurgeryOutcome, SurgeryRun, file_of, read_surgery
from bcnn_prune.spec import ModelSpec
from experiments.measure import surgery, surgery_worker
from experiments.measure.surgery import Settings
from experiments.run import cli

SPEC = ModelSpec("vgg11", (3, 4, 5, 4, 6, 5, 4, 3), classes=3)


def test_peak_memory_is_above_what_was_resident_before() -> None:
    held = torch.ones(5_000_000)
    _, seconds, peak = surgery_worker.measured(lambda: torch.ones(40_000_000).sum() + held.sum())
    assert 120e6 < peak < 200e6  # some 20 MB that tests before left behind may be freed meanwhile
    _, shorter, nothing = surgery_worker.measured(lambda: None)
    assert nothing < 5e6
    assert min(seconds, shorter) > 0


def test_our_surgery_removes_what_the_plan_drops() -> None:
    job = SurgeryJob("rebuild", SPEC, 0.4)
    outcome = surgery_worker.run_job(job)
    plan = surgery_worker.plan_for(job, surgery_worker.make_model(job))
    assert outcome.channels == round(0.4 * SPEC.channels) == SPEC.channels - plan.narrow(SPEC).channels
    assert outcome.columns_to_go == 9 - len(plan.kept["conv5_2"]) ** 2 > 0
    assert outcome.difference is not None
    assert outcome.difference < 1e-5


def test_torch_pruning_agrees_unless_the_last_layer_is_cut() -> None:
    pytest.importorskip("torch_pruning")
    kept = surgery_worker.run_job(SurgeryJob("torch-pruning", SPEC, 0.4, last=False))
    assert kept.difference is not None
    assert kept.difference < 1e-5
    assert kept.columns_to_go == kept.columns_named == 0
    cut = surgery_worker.run_job(SurgeryJob("torch-pruning", SPEC, 0.4))
    gone = 3 - round((9 - cut.columns_to_go) ** 0.5)
    assert cut.columns_named == gone * 3**4  # it multiplies by C at each of four reshapes
    assert cut.difference is None
    assert "cannot be multiplied" in cut.failure


def test_a_process_above_a_limit_is_killed_and_recorded() -> None:
    large = surgery.run_limited(SurgeryJob("rebuild", SPEC, 0.4), seconds=60, limit_bytes=1_000_000)
    assert (large.outcome, large.killed) == (None, "more than 0.001 GB")
    spec = ModelSpec.of("vgg16", 3, 1 / 32)  # whose last layer takes seconds: far longer than POLL_SECONDS
    slow = surgery.run_limited(SurgeryJob("torch-pruning", spec, 0.4), seconds=0, limit_bytes=10**10)
    assert (slow.outcome, slow.killed) == (None, "more than 0 s")
    assert slow.reached in ("", *spec.layers)


def command(*arguments: str) -> None:
    cli.run(surgery.main, Settings, surgery.__doc__, arguments)


def test_the_command_writes_a_record_and_prints_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch_pruning")

    def without_process(job: SurgeryJob, seconds: float, limit_bytes: int) -> SurgeryRun:
        if job.tool == "torch-pruning" and job.last:
            return SurgeryRun(job, None, "more than 1 s", "conv5_3", 1.0, 5_000_000_000)
        return SurgeryRun(job, SurgeryOutcome(0.5, 100_000_000, 1, 9, 0, 0, 1e-7), "", "", 0.1, 1)

    monkeypatch.setattr(surgery, "run_limited", without_process)
    command("--repeats", "2", "--shares", "0.4", "0.6", "--narrower", "0.25", "--out", str(tmp_path))
    cost = read_surgery(file_of(tmp_path))
    assert len(cost.runs) == 2 * (2 + 2 + 2) + 2  # a killed process is not repeated
    assert cost.provenance["torch-pruning"]
    printed = capsys.readouterr().out
    assert printed.count("| rebuild ") == 4
    assert "killed at conv5_3: more than 1 s; the process had 5.00 GB" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--repeats 0", "--repeats is 0"),
        ("--seconds 0", "--seconds is 0"),
        ("--seconds nan", "--seconds is nan"),
        ("--gigabytes inf", "--gigabytes is inf: take more than 0"),
        ("--gigabytes -1", "--gigabytes is -1"),
        ("--width inf", "--width is inf"),
        ("--width 0", "--width is 0"),
        ("--narrower 0.5 nan", "--narrower is nan"),
        ("--narrower", "--narrower is empty"),
        ("--classes 0", "--classes is 0"),
        ("--shares nan", "--shares is nan"),
        ("--shares 0.4 0.99 --width 0.02", "82 of 83 channels cannot go while 1 stay in every layer"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command(*arguments.split())
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
