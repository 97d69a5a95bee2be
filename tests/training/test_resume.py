"""States on disk: whole or not there, the older one where the newer is damaged, a full disk survived."""

import os
import subprocess
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.records import ConfusionMatrix, EpochStats, Evaluation, History
from bcnn_prune.training.resume import EpochCheckpoints, PhaseCache
from tests.helpers.permissions import ordinary_user
from tests.helpers.strategies import TINY, random_model


def state(number: int) -> dict[str, object]:
    return {"model": {"w": torch.full((500,), float(number))}, "epochs": [{"epoch": number}], "kept_epoch": number}


def number_of(files: EpochCheckpoints) -> int:
    loaded = files.load()
    assert loaded is not None
    assert torch.equal(loaded["model"]["w"], torch.full((500,), float(loaded["kept_epoch"])))
    return int(loaded["kept_epoch"])


def test_the_newest_of_two_is_loaded_and_nothing_else_lies_about(tmp_path: Path) -> None:
    files = EpochCheckpoints(tmp_path)
    assert files.load() is None
    for number in (1, 2, 3):
        files.save(state(number))
        assert number_of(files) == number
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state-previous.pt", "state.pt"]
    files.remove()
    assert not list(tmp_path.iterdir())


@given(st.data())
def test_whatever_is_cut_off_or_changed_the_state_before_is_used(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        files = EpochCheckpoints(Path(folder))
        files.save(state(1))
        files.save(state(2))
        whole = files.newest.read_bytes()
        if data.draw(st.booleans(), label="truncate"):
            files.newest.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        else:  # inside the tensor, where a wrong byte would pass for a number
            start = whole.index(torch.full((500,), 2.0).numpy().tobytes())
            place = data.draw(st.integers(start, start + 1999))
            files.newest.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        with pytest.warns(UserWarning, match=r"state\.pt is damaged.*going on from the state before it"):
            assert number_of(files) == 1


def test_two_damaged_states_are_none(tmp_path: Path) -> None:
    files = EpochCheckpoints(tmp_path)
    files.save(state(1))
    files.save(state(2))
    for path in (files.newest, files.previous):
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged"):
        assert files.load() is None


def test_a_malicious_state_runs_nothing(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str, int]]:
            return os.open, (str(tmp_path / "harm"), os.O_CREAT)

    torch.save({"model": Attack()}, tmp_path / "state.pt")
    with pytest.warns(UserWarning, match="damaged"):
        assert EpochCheckpoints(tmp_path).load() is None
    assert not (tmp_path / "harm").exists()


FILL = """
import resource, sys, torch
from pathlib import Path
from bcnn_prune.records import Evaluation, EpochStats, History
from bcnn_prune.training.resume import PhaseCache, EpochCheckpoints
from tests.helpers.permissions import ordinary_user
from tests.helpers.strategies import TINY, random_model
files = EpochCheckpoints(Path(sys.argv[1]))
files.save({"number": 1, "w": torch.zeros(100)})
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    files.save({"number": 2, "w": torch.zeros(100_000)})
except OSError as error:
    print("refused:", error)
from bcnn_prune.model.checkpoint import write_tensors
try:
    write_tensors(Path(sys.argv[1]) / "weights.safetensors", {"w": torch.zeros(100_000)})
except OSError as error:
    print("refused:", error)
"""


def test_when_no_more_can_be_written_the_last_good_state_stays(tmp_path: Path) -> None:
    """A limit on file size fails the write as a full disk does, with no need to be root."""
    done = subprocess.run([sys.executable, "-c", FILL, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.count("refused") == done.stdout.count("is the disk full?") == 2
    loaded = EpochCheckpoints(tmp_path).load()
    assert loaded is not None
    assert loaded["number"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.pt"]


COUNTED = ConfusionMatrix((0, 0, 1), (0, 1, 1), (4, 5, 1), 9)
HISTORY = History((EpochStats(1, 0.1, 1.5, Evaluation(10, 5), Evaluation(10, 5), 0.25, 3.0),), 1)


def test_a_finished_phase_comes_back_the_same(tmp_path: Path) -> None:
    phase, model = PhaseCache(tmp_path), random_model(TINY)
    assert phase.load() is None
    phase.save(model, HISTORY)
    loaded = phase.load()
    assert loaded is not None
    weights, history = loaded
    assert history == HISTORY
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, weights[key]) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize("name", ["weights.safetensors", "history.json"])
@pytest.mark.parametrize("how", ["cut", "changed", "gone"])
def test_a_damaged_finished_phase_counts_as_unfinished(name: str, how: str, tmp_path: Path) -> None:
    phase, model = PhaseCache(tmp_path), random_model(TINY)
    phase.save(model, HISTORY)
    path = tmp_path / name
    whole = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        middle = whole.index(b"1.5") if name == "history.json" else len(whole) - 5  # the loss; the last weights
        path.write_bytes(whole[:-9] if how == "cut" else whole[:middle] + b"7" + whole[middle + 1 :])
    if (name, how) == ("history.json", "gone"):
        assert phase.load() is None
    else:
        with pytest.warns(UserWarning, match="is damaged: training this phase again"):
            assert phase.load() is None


def test_a_phase_that_may_not_be_read_is_not_called_damaged() -> None:
    model = random_model(TINY)
    with ordinary_user() as home:
        phase, states = PhaseCache(home), EpochCheckpoints(home)
        phase.save(model, HISTORY)
        phase.save_test(COUNTED)
        states.save(state(1))
        read = {"test.json": phase.test, "weights.safetensors": phase.load, "history.json": phase.load}
        for name, load in {**read, "state.pt": states.load}.items():
            assert load() is not None
            (home / name).chmod(0)
            with pytest.raises(PermissionError, match=f"{name} may not be read by you"):
                load()
            (home / name).chmod(0o600)


@given(st.data())
def test_a_state_damaged_anywhere_is_used_right_or_not_at_all(data: st.DataObject) -> None:
    """Parts of a zip have no checksum; a byte there may change nothing, but never what is loaded."""
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = EpochCheckpoints(Path(folder))
        files.save(state(1))
        files.save(state(2))
        whole = bytearray(files.newest.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
        files.newest.write_bytes(bytes(whole))
        assert number_of(files) in (1, 2)


def test_test_counts_are_kept_until_the_phase_is_made_anew(tmp_path: Path) -> None:
    finished, model = PhaseCache(tmp_path), random_model(TINY)
    assert finished.test() is None
    finished.save(model, HISTORY)
    finished.save_test(COUNTED)
    assert PhaseCache(tmp_path).test() == COUNTED
    from_before = '{"images": 10, "correct": 7}'
    impossible = '{"true": [0, 0], "predicted": [1, 0], "count": [1, 2], "in_top_5": 3}'
    for damaged in ("", "{}", from_before, impossible, "[1]"):
        (tmp_path / "test.json").write_text(damaged)
        assert finished.test() is None
    finished.save_test(COUNTED)
    finished.save(model, HISTORY)
    assert finished.test() is None
