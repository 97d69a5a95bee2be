"""The commands under torchrun: one record and one table, a kill that changes nothing, a mistake that is told once."""

import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bcnn_prune.distributed import ProcessGroup
from bcnn_prune.execution import Execution
from bcnn_prune.phase import phase_key
from bcnn_prune.records import RunRecord, read_record
from experiments import oneshot, thesis
from experiments.run import cli
from experiments.run.device import device_for
from experiments.run.run import prepare_run
from experiments.run.settings import recipes_for
from tests.helpers.kills import die_after
from tests.helpers.several import several
from tests.helpers.small_runs import as_arguments, prepare, settings_for

EPOCHS = {"dense_epochs": 6, "sparse_epochs": 1, "fine_tune_epochs": 1, "control": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torchrun")
    prepare(folder)
    return folder


def arguments(folder: Path, name: str) -> list[str]:
    return as_arguments(settings_for(folder, **EPOCHS, prune=0.4, min_channels=2, device="cpu", out=folder / name))


def command(arguments: Sequence[str]) -> None:
    cli.run(oneshot.main, oneshot.Settings, oneshot.__doc__, arguments)


def killed_command(arguments: Sequence[str]) -> None:
    """Rank 0 is killed after the third state of the dense network, and torchrun ends the other."""
    die_after(states=3)
    command(arguments)


def run_folder(folder: Path, name: str) -> tuple[RunRecord, bytes]:
    (path,) = (folder / name).rglob("record.json")
    return read_record(path), path.with_name("model.safetensors").read_bytes()


def test_two_processes_leave_one_record_and_one_table_also_after_a_kill(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert several(2, command, arguments(folder, "unbroken")) == {}
    output = capfd.readouterr().out
    assert output.count("Written to") == output.count("test accuracy") == output.count("dense   1/6") == 1
    assert "by 2 processes, BN statistics per rank" in output
    record, weights = run_folder(folder, "unbroken")
    assert (record.provenance["ranks"], record.provenance["batch_norm"]) == ("2", "per rank")

    assert several(2, killed_command, arguments(folder, "killed"))[0] == -signal.SIGKILL
    assert several(2, command, arguments(folder, "killed")) == {}
    output = capfd.readouterr().out
    assert output.count("dense   2/6") == output.count("dense   4/6") == output.count("dense   6/6") == 1
    again, same_weights = run_folder(folder, "killed")
    assert again.repeatable() == record.repeatable()
    assert same_weights == weights


def test_a_mistake_is_one_line_and_exit_code_2(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for mistake, message in ((["--prune", "40"], "--prune is 40: take"), (["--weights", "no.pth"], "no.pth")):
        assert set(several(2, command, [*arguments(folder, "mistake"), *mistake]).values()) == {2}
        lines = [line for line in capfd.readouterr().err.splitlines() if "error: " in line]
        assert len(lines) == 1
        assert lines[0].startswith("error: ")
        assert message in lines[0]
    assert not list(folder.glob("mistake/**/*.json"))


def test_what_stops_one_rank_alone_it_says_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setattr(cli, "GRACE", 0)
    handler = signal.getsignal(signal.SIGTERM)

    def unreadable(settings: oneshot.Settings) -> None:
        raise OSError("set.h5 is not there")

    try:
        with pytest.raises(SystemExit) as left:
            cli.run(unreadable, oneshot.Settings, None, ["--dataset", "cars", "--prune", "0.4"])
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert left.value.code == 2
    assert capsys.readouterr().err == "rank 3: error: set.h5 is not there\n"


def test_each_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_for("auto") == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert device_for("cuda") == torch.device("cuda", 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    with pytest.raises(ValueError, match="3 processes for 2 GPUs: take --nproc-per-node 2"):
        device_for("auto")


def test_a_phase_of_two_processes_is_not_taken_for_one_of_one(folder: Path) -> None:
    told = oneshot.Settings(**settings_for(folder, out=folder / "keys", prune=0.4))
    start = prepare_run(told)
    model, recipe = start.first_weights(told.unpruned(start.info), "none"), recipes_for(told, start.info).dense

    def key(ranks: ProcessGroup) -> str:
        return phase_key(replace(start.context, execution=Execution(ranks=ranks)), "dense", model, recipe)

    assert key(ProcessGroup()) == key(ProcessGroup(rank=0, world=1))
    assert len({key(ProcessGroup()), key(ProcessGroup(world=2)), key(ProcessGroup(world=3))}) == 3


def test_the_chapter_is_not_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="give torchrun one flow, or the grid --backend ray"):
        thesis.Settings().check()
