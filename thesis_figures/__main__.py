"""Make every figure again from the records: python -m thesis_figures [--results results] [--out thesis_figures/out].

The same records give the same files, byte for byte. No network is trained and no number is typed in."""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from bcnn_prune.records import read_record
from thesis_figures import gamma, method, style


@dataclass(frozen=True)
class Settings:
    """Where records are read and figures written."""

    results: Path = Path("results")
    out: Path = Path("thesis_figures/out")


def main(settings: Settings) -> None:
    """Write the method picture and, for each record, its γ distribution."""
    if not settings.results.is_dir():
        raise ValueError(f"{settings.results} is no folder: name the one that holds the records with --results")
    style.write(method.draw(), settings.out / "method.png")
    for path in sorted(settings.results.glob("*/*/*.json")):
        record = read_record(path)
        style.write(gamma.draw(record), settings.out / f"gamma-{record.experiment}-{record.data.name}-{path.stem}.png")


if __name__ == "__main__":
    try:
        main(tyro.cli(Settings, description=__doc__))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
