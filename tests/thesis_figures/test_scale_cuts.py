"""Cuts of sparse networks made from records: those that the runs made, channel by channel."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning import ranking
from bcnn_prune.pruning.ranking import drop_counts
from bcnn_prune.records import Evaluation, RunRecord, read_record
from tests.helpers.random_records import made
from thesis_figures.analysis import sets
from thesis_figures.analysis.scale_cuts import PENALTIES, ScaleCut, SparseNetwork, sparse_networks
from thesis_figures.page import explorer

RESULTS = Path(__file__).parents[2] / "results"


Cuts = tuple[SparseNetwork, list[ScaleCut]]


@pytest.fixture(scope="module")
def swept() -> Cuts:
    """The network of photographs from scratch with the plain penalty; there is one with the heavier, too."""
    folders = (RESULTS / experiment / "cars50" for experiment in ("oneshot", "sweep", "criteria", "soft"))
    records = (read_record(path) for folder in folders for path in sorted(folder.glob("weightsnone-*.json")))
    plain, heavier = sparse_networks(records)
    assert [plain.penalty, heavier.penalty] == list(PENALTIES.values())
    return plain, list(plain.cuts())


def test_the_cuts_are_those_of_surgery(swept: Cuts) -> None:
    """Of the runs that ranked |γ|, and of selection on the scales as tensors."""
    network, cuts = swept
    record = network.record
    scores = {layer: torch.tensor(values) for layer, values in record.scales.items()}
    for cut in cuts[::19]:
        (drop,) = drop_counts(record.spec.channels, cut.percent / 100)
        plan = ranking.keep_highest(scores, drop, int(record.settings["floor"] or 0))
        assert cut.plan == plan
        assert (cut.spec, cut.cost) == (plan.narrow(record.spec), total_cost(plan.narrow(record.spec), 64))
        assert cut.threshold == pytest.approx(ranking.threshold(scores, plan))
    made = [step for run in network.runs if _by_scale(run) for step in (*run.steps[:1], *run.sweep)]
    found = {repr(cut.plan): cut for cut in cuts if cut.tested}
    assert len(made) > len(found) - 1 > 2
    for step in made:
        cut = found[repr(step.plan)]
        assert (cut.cost, cut.threshold) == (step.cost, pytest.approx(step.threshold, rel=1e-5))
        assert cut.tested["rebuilt"] == step.rebuilt


def test_channels_go_in_the_order_of_the_cuts(swept: Cuts) -> None:
    network, cuts = swept
    first = explorer.gone_at(network, cuts)
    assert [sum(percent <= cut.percent for percent in first) for cut in cuts] == [
        drop_counts(network.record.spec.channels, cut.percent / 100)[0] for cut in cuts
    ]
    everything = ChannelPlan.keep_all(network.record.spec)
    assert cuts[0].plan == everything
    for before, after in pairwise(cuts):
        assert all(set(after.plan.kept[layer]) <= set(channels) for layer, channels in before.plan.kept.items())


def test_every_choice_of_set_seed_and_penalty_shows_a_network_of_the_set() -> None:
    places = [(label, seed) for label in ("drawn-cars50", "drawn-birds50") for seed in (0, 1)]
    records = [made("oneshot", label, seed, (0.4,), last_sparsity=0.1) for label, seed in places]
    networks = sparse_networks([*records, *(made("oneshot", label, 0, (0.4,)) for label, seed in places if seed)])
    known = {"|".join(explorer.parts(network)) for network in networks}
    instead = explorer.instead_of(networks)
    assert len(known) + len(instead) == 2 * 2 * 2
    for choice, shown in instead.items():
        assert shown in known
        assert shown.split("|")[::2] == choice.split("|")[::2]  # the set, and here always the penalty, too


def test_of_a_seed_of_two_machines_all_figures_show_the_network_that_most_cuts_were_made_of() -> None:
    first, *others = (made("oneshot", "drawn-cars50", 0, (cut,)) for cut in (0.2, 0.4, 0.6))
    doubled = {layer: tuple(2 * value for value in values) for layer, values in first.scales.items()}
    records = [first, *(replace(record, scales=doubled) for record in others)]
    (shown,) = sets.sparse_networks(records)
    (explored,) = sparse_networks(records)
    assert shown.scales == explored.record.scales == doubled
    assert len(explored.runs) == len(others)


def test_the_fine_tuned_accuracy_is_that_of_the_recipe() -> None:
    """Whatever else tuned the same cut longer, or with a teacher, and in whatever order the records come."""
    usual = read_record(RESULTS / "oneshot" / "cars50" / "weightsnone-rulethesis-prune0.4-seed0.json")
    (step,) = usual.steps
    wrong = Evaluation(step.final.images, 1)
    others = [
        replace(usual, settings={**usual.settings, **told}, steps=(replace(step, fine_tuned=wrong),))
        for told in ({"fine_tune_epochs": 24}, {"distil": True})
    ]
    for records in ([usual, *others], [*others, usual]):
        (network,) = sparse_networks(records)
        tested = [cut.tested["fine_tuned"] for cut in network.cuts() if "fine_tuned" in cut.tested]
        assert tested == [step.fine_tuned]


def _by_scale(record: RunRecord) -> bool:
    return record.experiment != "soft" and record.settings.get("criterion") in (None, "bn-scale")
