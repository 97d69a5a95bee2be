"""The smallest cut of each data set that is as accurate as the dense network, chosen on the val split."""

from collections.abc import Iterable

import pandas as pd

from bcnn_prune.records import RunRecord
from thesis_figures.analysis.frame import networks
from thesis_figures.analysis.runs import FLOWS

EQUAL = 1.0
"""Points of accuracy that count as equal."""


def smallest_equal(records: Iterable[RunRecord]) -> dict[str, pd.DataFrame]:
    """By data set the cut with the fewest parameters that equals the dense network on val: its rows of `networks`, a
    row per seed, with its `flow`. No rows where no cut is equal."""
    frame = networks(record for record in records if _flow(record))
    cuts = frame[frame["network"] == "pruned"].assign(flow=lambda cuts: cuts["record"].map(_flow))
    return {str(data_set): _smallest(of_set) for data_set, of_set in cuts.groupby("data_set")}


def _smallest(cuts: pd.DataFrame) -> pd.DataFrame:
    by_cut = cuts.groupby(["flow", "group", "step"])
    means = by_cut[["share_of_dense", "val_percent", "dense_val_percent"]].mean().reset_index()
    # Val is at most EQUAL points below the dense network's, rounding of floats aside.
    equal = means[(means["dense_val_percent"] - means["val_percent"]).round(9) <= EQUAL]
    best = equal.sort_values(["share_of_dense", "flow", "step"]).head(1)
    return cuts.merge(best[["flow", "group", "step"]])


def _flow(record: RunRecord) -> str | None:
    return next((flow for flow, belongs in FLOWS.items() if belongs(record)), None)
