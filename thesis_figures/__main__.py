"""Make every figure and table again from the records, in some minutes.

    python -m thesis_figures [figures | tables] [--results results] [--out thesis_figures/out]
    python -m thesis_figures page [--results results]

writes each figure as PNG and PDF and each table as CSV, Markdown and LaTeX, and names each as it goes. The same records
give the same files, byte for byte. No network is trained and no number is typed in.

`page` writes index.html into the folder of records: charts that answer to a slider, drop-downs and clicks."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from bcnn_prune.command_line.run import run
from bcnn_prune.files import write_text
from thesis_figures import catalogue, load, page, style, tables
from thesis_figures.analysis import claims, reference, runs
from thesis_figures.page.run import RunView


@dataclass(frozen=True)
class Settings:
    """Kinds of output, folders of input, and the folder that files are written to."""

    what: tyro.conf.Positional[Literal["all", "figures", "tables", "page"]] = "all"
    """all is figures and tables."""
    results: Path = Path("results")
    """The folder of records that flows had as --results, or as --out, and of the sample images."""
    published: Path = Path("results/reference/thesis_results.csv")
    """The thesis' rows, for the tables."""
    out: Path = Path("thesis_figures/out")
    """Files are added or written over; none is removed."""


def main(settings: Settings) -> None:
    """Write the figures, the tables or both; or the page."""
    if settings.what == "page":
        page.require()
    measured = load.read(settings.results)
    if not measured.records:
        none = f"no record of a run in {runs.search_places(settings.results)}"
        if settings.what != "figures":  # tables of the thesis' rows alone would replace those with ours
            raise ValueError(f"{none}: name the folder of a flow's --results or --out with --results")
        print(f"warning: {none}: only figures without runs are drawn", file=sys.stderr)
    if settings.what == "page":
        _write_page(measured, settings)
        return
    if settings.what != "tables":
        for name, draw in catalogue.figures(measured).items():
            style.write_both(draw(), settings.out / name)
            print(f"{settings.out / name}.png, .pdf", flush=True)
    if settings.what != "figures":
        for path in tables.write(measured, settings.published, settings.out):
            print(path)


def _write_page(measured: load.Measured, settings: Settings) -> None:
    # Here, not at the top: only pages need what it imports.
    from thesis_figures.page import document

    found = zip(measured.records, measured.paths, strict=True)
    views = [RunView(record, str(path.relative_to(settings.results))) for record, path in found]
    told = claims.claims(measured.records, reference.read(settings.published))
    paths = [*measured.paths, settings.published]
    commit, digest = document.commit_of(paths), document.digest(paths)
    text = document.render(page.TITLE, page.ABOUT, commit, views, told, digest)
    write_text(settings.results / page.FILE, text)
    print(f"{settings.results / page.FILE}: {len(text.encode()) / 1e6:.1f} MB")


if __name__ == "__main__":
    run(
        main,
        Settings,
        __doc__,
        interrupted="files that were written are whole; the same command makes all again",
    )
