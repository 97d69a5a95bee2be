"""The smallest cut of each data set that is as accurate as the dense network, chosen on the val split."""

from collections.abc import Iterable, Sequence

import pandas as pd

from bcnn_prune.records import RunRecord
from thesis_figures.analysis.frame import networks
from thesis_figures.analysis.reference import ThesisRow
from thesis_figures.analysis.runs import FLOWS, flow_of, known_first

EQUAL = 1.0
"""Points of accuracy that count as equal."""
CLAIMED = {"aircraft": 0.9, "birds": 0.8, "cars": 0.9}
"""Share of the parameters that the thesis removes, one-shot with the heavier penalty (its abstract)."""
THESIS_FLOWS = {"4.4": "one-shot", "4.5": "iterative", "4.6": "soft", "4.7": "one-shot, heavier last penalty"}
"""Flows by the thesis' table."""


def smallest_equal(records: Iterable[RunRecord]) -> dict[str, pd.DataFrame]:
    """By data set the cut with the fewest parameters that equals the dense network on val: its rows of `networks`, a
    row per seed, with its `flow`. No rows where no cut is equal."""
    frame = networks(record for record in records if flow_of(record))
    cuts = frame[frame["network"] == "pruned"].assign(flow=lambda cuts: cuts["record"].map(flow_of))
    return {str(data_set): _smallest(of_set) for data_set, of_set in cuts.groupby("data_set")}


def smallest_published(family: str, reference: Sequence[ThesisRow]) -> tuple[ThesisRow, float]:
    """By the same rule, but on test, the author's smallest cut of a family, and the accuracy of its unpruned network
    with L1, in per cent."""
    rows = [row for row in reference if row.family == family]
    dense = unpruned_accuracy(family, reference)
    sized = [(row.params, row) for row in rows if row.table in THESIS_FLOWS and row.rate and row.params]
    return min((cut for cut in sized if round(dense - cut[1].accuracy, 9) <= EQUAL), key=lambda cut: cut[0])[1], dense


def unpruned_accuracy(family: str, reference: Iterable[ThesisRow]) -> float:
    """Of the author's unpruned network with L1 (table 4.3), in per cent."""
    (dense,) = [row.accuracy for row in reference if row.family == family and row.method == "bcnn-bn-l1"]
    return dense


def _smallest(cuts: pd.DataFrame) -> pd.DataFrame:
    by_cut = cuts.groupby(["flow", "group", "step"])
    means = by_cut[["share_of_dense", "val_percent", "dense_val_percent"]].mean().reset_index()
    # Val is at most EQUAL points below the dense network's, rounding of floats aside.
    equal = means[(means["dense_val_percent"] - means["val_percent"]).round(9) <= EQUAL]
    # The first of several cuts is that of one-shot pruning, whose flow is the first.
    places = {flow: place for place, flow in enumerate(known_first(equal["flow"], FLOWS))}
    best = equal.assign(place=equal["flow"].map(places)).sort_values(["share_of_dense", "place", "step"]).head(1)
    return cuts.merge(best[["flow", "group", "step"]])
