"""Figures are functions of the records: the same files again, and a clear word where there are none."""

import subprocess
import sys
from pathlib import Path

import pytest

from thesis_figures.__main__ import Settings, main

ROOT = Path(__file__).parents[2]


def test_the_committed_records_give_the_same_files_twice(tmp_path: Path) -> None:
    written = []
    for name in ("first", "second"):
        main(Settings(results=ROOT / "results", out=tmp_path / name))
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert written[0] == written[1]
    assert set(written[0]) == {path.name for path in (ROOT / "thesis_figures" / "out").iterdir()}
    assert all(content.startswith(b"\x89PNG") for content in written[0].values())


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "is no folder"), ("{}", "broken.json: this is no run record")],
    ids=["missing", "broken"],
)
def test_what_is_no_record_is_one_line(content: str | None, says: str, tmp_path: Path) -> None:
    if content is not None:
        broken = tmp_path / "records" / "oneshot" / "cars" / "broken.json"
        broken.parent.mkdir(parents=True)
        broken.write_text(content)
    command = [sys.executable, "-m", "thesis_figures", "--results", str(tmp_path / "records"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
