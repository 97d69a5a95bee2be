"""System errors: in words, with the path and the option that it comes from."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import tyro

from bcnn_prune.command_line.system_errors import in_words, option_of
from bcnn_prune.files import folder_lock, write_text
from tests.helpers.permissions import ordinary_user


@dataclass(frozen=True)
class Settings:
    checkpoint: tyro.conf.Positional[Path] = Path("model.safetensors")
    data: Path | None = None
    run_folder: Path = Path("runs")
    published: Path = Path("runs/published.csv")
    count: int = 3


def told(settings: Settings, work: Callable[[], object]) -> str:
    with pytest.raises(OSError, match=r"\w") as refusal, in_words(settings):
        work()
    (line,) = str(refusal.value).splitlines()
    assert "Errno" not in line
    return line


def lock(folder: Path) -> None:
    with folder_lock(folder, lambda: None):
        pass


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("runs", "run_folder"),
        ("runs/phases/.lock", "run_folder"),
        ("runs/published.csv", "published"),
        ("elsewhere", None),
        ("model.safetensors", None),
    ],
)
def test_a_path_comes_from_the_nearest_option(path: str, name: str | None) -> None:
    assert option_of(Path(path), Settings()) == name
    assert option_of(Path(path).absolute(), Settings()) == name


def test_a_folder_on_the_way_to_a_path_comes_from_its_option() -> None:
    assert option_of(Path("a"), Settings(run_folder=Path("a/b/c"))) == "run_folder"
    assert option_of(Path("a"), object()) is None


def test_a_file_where_a_folder_is_needed_is_told() -> None:
    Path("runs").touch()
    message = "runs is a file, where a folder is needed: move it away, or give another --run-folder"
    assert told(Settings(), lambda: lock(Path("runs"))) == message
    assert told(Settings(), lambda: lock(Path("runs/phases/cars"))) == message
    assert told(Settings(), lambda: write_text(Path("runs/a/b.json"), "")) == message


def test_a_folder_where_a_file_is_needed_is_told() -> None:
    Path("runs/a.json").mkdir(parents=True)
    message = "runs/a.json is a folder, where a file is needed: move it away, or give another --run-folder"
    assert told(Settings(), lambda: write_text(Path("runs/a.json"), "")) == message


def test_what_may_not_be_written_or_read_is_told() -> None:
    with ordinary_user() as home:
        runs = home / "runs"
        settings = Settings(run_folder=runs)
        lock(runs)
        (runs / ".lock").chmod(0o400)
        (runs / "a").touch(0o200)
        runs.chmod(0o500)
        ask = "by you: ask its owner for the right, or give another --run-folder"
        assert told(settings, lambda: lock(runs)) == f"{runs} may not be written {ask}"
        assert told(settings, lambda: lock(runs / "phases")) == f"{runs / 'phases'} may not be written {ask}"
        assert told(settings, lambda: write_text(runs / "b", "")) == f"{runs} may not be written {ask}"
        assert told(settings, lambda: (runs / "a").read_text()) == f"{runs / 'a'} may not be read {ask}"
        runs.chmod(0)
        assert told(settings, lambda: (runs / "a").read_text()) == f"{runs} may not be entered {ask}"
        runs.chmod(0o700)


def fails(number: int, path: str) -> Callable[[], None]:
    def work() -> None:
        raise OSError(number, os.strerror(number), path)

    return work


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk of runs/x is full: make room, or give another --run-folder"),
        (errno.EROFS, "runs/x lies on a disk that is read only: mount it for writing, or give another --run-folder"),
        (errno.ENOENT, "runs/x does not exist: look for it, or give another --run-folder"),
        (errno.EIO, f"runs/x: {os.strerror(errno.EIO)}: see to that, or give another --run-folder"),
    ],
)
def test_what_cannot_be_brought_about_here_is_told(number: int, message: str) -> None:
    assert told(Settings(), fails(number, "runs/x")) == message


def test_without_an_option_the_path_alone_is_told() -> None:
    assert told(Settings(), fails(errno.ENOSPC, "data/x")) == (
        "the disk of data/x is full: make room, or work in another folder"
    )


def test_what_is_in_words_already_passes() -> None:
    for error in (FileNotFoundError("a is not there"), BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))):
        with pytest.raises(type(error)) as passed, in_words(Settings()):
            raise error
        assert passed.value is error
