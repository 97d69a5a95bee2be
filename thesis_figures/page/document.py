"""The HTML file: charts with the library that draws them, findings, and every run; it loads nothing."""

import gzip
import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import DEVNULL, CalledProcessError, check_output
from typing import Any

import pandas as pd
import vl_convert as vlc
from jinja2 import Environment, PackageLoader, StrictUndefined

from bcnn_prune.records import RunRecord
from thesis_figures.analysis.claims import Claim
from thesis_figures.analysis.runs import set_of
from thesis_figures.analysis.scale_cuts import sparse_networks
from thesis_figures.page import explorer, tradeoff
from thesis_figures.page.run import RunView
from thesis_figures.page.vega import VEGA_LITE, compiled

EXPLORER = (
    "Channels with the smallest |γ| go first. Move the slider (arrow keys work, too): the bars of channels that go "
    "turn black. Widths, parameters and multiply-adds are those of the network that surgery leaves. Accuracy is of the "
    "cut named beside it, the nearest one that a run made."
)
TRADEOFF = (
    "Large points are means over seeds; bars are one standard deviation, of a single seed one standard error of its "
    "count. CPU time was measured for each run's last network. A click on a small point shows that run below."
)


@dataclass(frozen=True)
class Chart:
    """Panels of a section."""

    name: str
    heading: str
    text: str
    spec: Mapping[str, Any]
    files: Mapping[str, str]
    """CSV, compressed by gzip, in base64, by the name of the file: a quarter of the bytes of the plain text."""

    @property
    def options(self) -> dict[str, Any]:
        """Of Vega-Embed: text that can be selected, controls above the chart, no link to an editor."""
        actions = {"export": True, "source": False, "compiled": False, "editor": False}
        return {"mode": "vega", "renderer": "svg", "bind": f"#{self.name}-controls", "actions": actions}


def render(
    title: str, about: str, commit: str, runs: Sequence[RunView], claims: Sequence[Claim] = (), digest: str = ""
) -> str:
    """The page of these runs, made of records of `commit`. The same runs give the same bytes."""
    environment = Environment(
        loader=PackageLoader("thesis_figures.page", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    return environment.get_template("template.html").render(
        title=title,
        about=about,
        commit=commit,
        digest=digest,
        charts=_charts([run.record for run in runs]),
        claims=claims,
        runs=runs,
        bundle=_bundle(),
    )


def digest(paths: Sequence[Path]) -> str:
    """SHA-256 over files, first 12 digits."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()[:12]


def commit_of(paths: Sequence[Path]) -> str:
    """The last commit that changed one of these files: others leave the page as it is. "unknown" without git."""
    told = ["git", "log", "-1", "--format=%h", "--abbrev=12", "--", *map(str, paths)]
    try:
        return check_output(told, stderr=DEVNULL, text=True).strip() or "unknown"
    except (OSError, CalledProcessError):
        return "unknown"


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    script: str = vlc.javascript_bundle(vl_version=VEGA_LITE)  # type: ignore[call-arg] # its stub lacks the default
    return script.replace("</script", "<\\/script")


def _charts(records: Sequence[RunRecord]) -> list[Chart]:
    charts = []
    shown = tradeoff.sets_of(records)
    first = max(shown, key=lambda label: sum(set_of(record) == label for record in records), default="")
    if networks := sparse_networks(records):
        rows = explorer.data(networks)
        files = {"gamma": explorer.scales(networks), "cuts": explorer.table(rows)}
        spec = compiled(explorer.chart(networks, first, rows), rows, EXPLORER)
        charts.append(Chart("gamma", "γ explorer", EXPLORER, spec, {name: _csv(of) for name, of in files.items()}))
    if shown:
        rows = tradeoff.data(records)
        spec = compiled(tradeoff.chart(records, first, rows), rows, TRADEOFF)
        files = {name: pd.DataFrame(rows[name]) for name in ("runs", "means")}
        charts.append(Chart("tradeoff", "Trade-offs", TRADEOFF, spec, {name: _csv(of) for name, of in files.items()}))
    return charts


def _csv(table: pd.DataFrame) -> str:
    text = table.to_csv(index=False, lineterminator="\n", float_format="%.4g")
    return b64encode(gzip.compress(text.encode(), mtime=0)).decode()
