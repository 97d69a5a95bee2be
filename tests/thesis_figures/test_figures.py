"""The command: what is committed is what the committed records give, and a clear word where there are none."""

import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from bcnn_prune.files import write_text
from bcnn_prune.records import to_json
from tests.helpers.explicit_records import run
from thesis_figures import style
from thesis_figures.__main__ import Settings, main
from thesis_figures.analysis import runs
from thesis_figures.catalogue import figures
from thesis_figures.load import read
from thesis_figures.tables import write

ROOT = Path(__file__).parents[2]
RESULTS, OUT = ROOT / "results", ROOT / "thesis_figures" / "out"
THESIS = RESULTS / "reference" / "thesis_results.csv"


def test_what_is_committed_is_what_the_records_give(tmp_path: Path) -> None:
    """Names of everything, all bytes of the tables, and of one figure that a second run gives what the first did.

    Bytes of pictures are not held against the committed ones, which another version of the fonts' renderer drew."""
    measured = read(RESULTS)
    tables = {path.name: path.read_bytes() for path in write(measured, THESIS, tmp_path)}
    drawn = figures(measured)
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
    ("content", "message"),
    [(None, "is no folder"), ("{}", "broken.json is no run record")],
    ids=["missing", "broken"],
)
def test_what_is_no_record_is_one_line(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        broken = tmp_path / "records" / "oneshot" / "cars" / "broken.json"
        broken.parent.mkdir(parents=True)
        broken.write_text(content)
    command = [sys.executable, "-m", "thesis_figures", "--results", str(tmp_path / "records"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_records_are_found_where_flows_put_them(tmp_path: Path) -> None:
    """Their own folders, a folder of results, or both in one."""
    first, second = run(), run(seed=1)
    for experiment, data_set, name, record in (
        ("oneshot", first.data.name, "a/record", first),
        ("oneshot", first.data.name, "a", first),
        ("oneshot", first.data.name, "b/record", second),
    ):
        write_text(tmp_path / experiment / data_set / f"{name}.json", to_json(record))
    write_text(tmp_path / "phases" / first.data.name / "dense" / "history.json", "{}")
    assert sorted(runs.read(tmp_path).values(), key=lambda record: record.seed) == [first, second]
    main(Settings(what="tables", results=tmp_path, published=THESIS, out=tmp_path / "out"))
    assert f"{first.data.name},ours" in (tmp_path / "out" / "table-4.4.csv").read_text()


def test_a_folder_without_records_is_one_line_that_says_where_they_were_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=rf"^no record of a run in {tmp_path}/<experiment>/<set>/<name>.json or …/<name>/"
    ):
        main(Settings(what="tables", results=tmp_path, published=THESIS, out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_figures_alone_are_named_as_they_are_written_and_remove_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thesis_figures.catalogue.SCHEMATICS", {})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "older.png").touch()
    main(Settings(what="figures", results=tmp_path, out=tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["method.pdf", "method.png", "older.png"]
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'method'}.png, .pdf\n"


def test_a_figure_that_was_interrupted_leaves_the_old_files(tmp_path: Path) -> None:
    class Interrupted(Figure):
        def savefig(self, fname: Path, **_: object) -> None:  # type: ignore[override]
            fname.write_bytes(b"a part")
            raise KeyboardInterrupt

    style.write_both(Figure(), tmp_path / "figure")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        style.write_both(Interrupted(), tmp_path / "figure")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert sorted(before) == ["figure.pdf", "figure.png"]
