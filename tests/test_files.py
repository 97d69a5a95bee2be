"""Files are written whole and for all whom the umask lets read them; what cannot be read is told as what it is."""

import errno
import os
import stat
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
import torch

from bcnn_prune.files import (
    atomic_write,
    parse_json,
    replacing_together,
    require_file,
    require_same_settings,
    require_writable,
    write_text,
)
from bcnn_prune.model.checkpoint import write_tensors
from tests.helpers.permissions import ordinary_user, umask


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_have_the_mode_that_the_umask_gives(mask: int, expected: int, tmp_path: Path) -> None:
    (tmp_path / ".text.part").touch(0o600)  # a killed writer's
    with umask(mask):
        write_text(tmp_path / "text", "a")
        write_tensors(tmp_path / "tensors", {"a": torch.zeros(2)})
        with atomic_write(tmp_path / "closed") as partial:
            os.close(os.open(partial.with_name("own"), os.O_CREAT, 0o600))
            os.replace(partial.with_name("own"), partial)
    assert [mode(tmp_path / name) for name in ("text", "tensors", "closed")] == [expected] * 3


def test_what_fails_leaves_the_file_that_was_there_and_nothing_beside_it(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")
    with suppress(KeyboardInterrupt), atomic_write(tmp_path / "a") as partial:
        partial.write_text("new")
        raise KeyboardInterrupt
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_error_of_a_write_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left on device") as told, atomic_write(tmp_path / "a"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert told.value.filename == str(tmp_path / "a")
    with pytest.raises(OSError, match=r"^in words$"), atomic_write(tmp_path / "a"):
        raise OSError("in words")


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), atomic_write(tmp_path):
        pass


def written(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_files_that_belong_together_come_together_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "together"
    with replacing_together(folder, last="index") as partial:
        for name in ("index", "a", "b"):
            (partial / name).write_text("old")
        assert written(folder).keys() == {f".part/{name}" for name in ("index", "a", "b")}
    (folder / "foreign").mkdir()
    (folder / "foreign" / "notes").write_text("mine")
    before = {"index": "old", "a": "old", "b": "old", "foreign/notes": "mine"}
    assert written(folder) == before

    with suppress(KeyboardInterrupt), replacing_together(folder, last="index") as partial:
        (partial / "a").write_text("new")
        raise KeyboardInterrupt
    assert written(folder) == before

    (folder / ".part").mkdir()
    (folder / ".part" / "b").write_text("a killed writer's")
    with replacing_together(folder, last="index") as partial:
        (partial / "a").write_text("new")
        (partial / "index").write_text("new")
    assert written(folder) == {**before, "a": "new", "index": "new"}


def test_without_the_last_file_the_others_are_not_to_be_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off between two of the moves, as by a kill."""
    (tmp_path / "index").write_text("old")
    moved, replace = list[str](), Path.replace

    def once(path: Path, target: Path) -> Path:
        if moved:
            raise KeyboardInterrupt
        moved.append(target.name)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", once)
    with suppress(KeyboardInterrupt), replacing_together(tmp_path, last="index") as partial:
        for name in ("a", "index", "z"):
            (partial / name).write_text("new")
    assert written(tmp_path) == {"a": "new"}


def test_what_is_no_file_to_read_is_told_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    require_file(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    for name, error, message in (
        ("none", FileNotFoundError, "none does not exist: make it"),
        ("file/below", FileNotFoundError, "below does not exist: make it"),
        (".", IsADirectoryError, "is a folder: name the file in it"),
        ("pipe", OSError, "pipe is no regular file"),
    ):
        with pytest.raises(error, match=message):
            require_file(tmp_path / name, "make it")


@pytest.mark.parametrize("closed", ["file", "folder"])
def test_what_may_not_be_read_is_told_as_that(closed: str) -> None:
    with ordinary_user() as home:
        path = home / "folder" / "file"
        path.parent.mkdir()
        path.touch()
        require_file(path)
        (path if closed == "file" else path.parent).chmod(0)
        with pytest.raises(PermissionError, match="file may not be read by you: ask its owner"):
            require_file(path)
        path.parent.chmod(0o700)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", '{"a": [0.5, NaN]}'])
def test_json_with_numbers_that_are_not_finite_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="which is no finite number"):
        parse_json(text)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 200_000)
    assert parse_json('{"a": [0.1, 1e9, 2, null]}') == {"a": [0.1, 1e9, 2, None]}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("file/a.json", "is no folder"),
        ("file/deeper/a.json", "is no folder"),
        ("folder", "there is a folder of that name"),
        (f"{'long' * 70}/a.json", "File name too long"),
        (f"{'long' * 70}.json", "File name too long"),
    ],
)
def test_a_place_that_nothing_can_be_written_to_is_refused_before_the_work(
    path: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(
        OSError, match=rf"^--out: {tmp_path / path} cannot be written \(.*{reason}\): name another folder$"
    ):
        require_writable(tmp_path / path, "--out")


@pytest.mark.parametrize(
    ("held", "kept"),
    [
        (None, False),
        ('{"a": [1, 2], "ms": 9}', False),
        ('{"a": [1, 3]}', True),
        ("{}", True),
        ("[]", True),
        ("{", True),
    ],
)
def test_what_was_measured_by_other_settings_is_not_written_over(held: str | None, kept: bool, tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    if held is not None:
        path.write_text(held)
    with pytest.raises(FileExistsError, match=f"^--out: {path} was measured by other") if kept else nullcontext():
        require_same_settings(path, {"a": (1, 2)}, "--out")


def test_a_place_that_may_not_be_written_to_is_refused() -> None:
    with ordinary_user() as folder:
        (folder / "closed").mkdir(0o555)
        with pytest.raises(PermissionError, match=r"^--results: .*Permission denied"):
            require_writable(folder / "closed" / "deeper" / "a.json", "--results")


def test_a_place_that_can_be_written_to_is_left_as_it_is(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b" / "c.json", "--out")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "c.json").write_text("older")
    require_writable(tmp_path / "c.json", "--out")
    assert (tmp_path / "c.json").read_text() == "older"
