"""The command: what is committed is what the committed records give, and a clear word where there are none."""

import subprocess
import sys
from pathlib import Path

import pytest

from thesis_figures import style
from thesis_figures.__main__ import Settings, main
from thesis_figures.catalogue import figures
from thesis_figures.measured import read

ROOT = Path(__file__).parents[2]
RESULTS, OUT = ROOT / "results", ROOT / "thesis_figures" / "out"


def test_what_is_committed_is_what_the_records_give(tmp_path: Path) -> None:
    """Names of everything, all bytes of the tables, and of one figure that a second run gives what the first did.

    Bytes of pictures are not held against the committed ones, which another version of the fonts' renderer drew."""
    main(Settings(what="tables", results=RESULTS, published=RESULTS / "reference" / "thesis_results.csv", out=tmp_path))
    tables = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    drawn = figures(read(RESULTS))
    pictures = {f"{name}.{suffix}" for name in drawn for suffix in ("png", "pdf")}
    assert {path.name for path in OUT.iterdir()} == pictures | set(tables)
    assert {name: (OUT / name).read_bytes() for name in tables} == tables
    name, draw = next(item for item in drawn.items() if "-gamma-" in item[0])
    written = []
    for folder in ("first", "second"):
        style.write_both(draw(), tmp_path / folder / name)
        written.append({path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()})
    assert written[0] == written[1]
    assert written[0][f"{name}.png"].startswith(b"\x89PNG")
    assert written[0][f"{name}.pdf"].startswith(b"%PDF")


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


def test_figures_alone_are_named_as_they_are_written_and_remove_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thesis_figures.catalogue.SCHEMATICS", {})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "older.png").touch()
    main(Settings(what="figures", results=tmp_path, out=tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["method.pdf", "method.png", "older.png"]
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'method'}.png, .pdf\n"
