"""Settings of cuts and fine-tuning reach the recipes, whichever class declares them."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from bcnn_prune.records import read_record
from experiments import (
    ablation,
    compress,
    criteria,
    equal_cost,
    iterative,
    oneshot,
    proxy,
    scratch,
    sensitivity,
    soft,
    sweep,
)
from experiments.grid.planning import GridSettings
from experiments.recipes import base_recipes, thesis_fine_tuning
from experiments.run.record import differences, recorded_settings
from experiments.run.run import require_trainable
from experiments.run.settings import FlowSettings, recipes_for
from tests.helpers.explicit_records import data

ROOT = Path(__file__).parents[2]
FLOWS = (ablation, compress, criteria, equal_cost, iterative, oneshot, proxy, scratch, sensitivity, soft, sweep)
TOLD: dict[str, Any] = {"prune": 0.6, "rates": (0.2, 0.6), "min_channels": 3, "recalibrate": 32, "fine_tune_epochs": 9}


@pytest.mark.parametrize("kind", [*(flow.Settings for flow in FLOWS), GridSettings])
def test_all_that_settings_declare_of_cutting_is_asked_for(kind: type[FlowSettings]) -> None:
    values = {field.name: TOLD[field.name] for field in fields(kind) if field.name in TOLD}
    settings = kind(dataset="cars3", **values)
    cutting = settings.cutting()
    assert cutting.share == (0.6 if "prune" in values or "rates" in values else 0)
    assert (cutting.min_channels, cutting.recalibrate) == (values.get("min_channels", 1), values.get("recalibrate", 0))
    assert cutting.fine_tune_epochs == values.get("fine_tune_epochs")
    recipes = recipes_for(settings, data("cars3"))
    tuned = {recipes.fine_tune.epochs, recipes.soft.epochs}
    assert (tuned == {9}) == ("fine_tune_epochs" in values)


def test_the_thesis_fine_tunes_as_long_as_the_cut_asks_for() -> None:
    info = data("cars")
    settings = oneshot.Settings(dataset="cars", prune=0.6)
    assert recipes_for(settings, info).fine_tune.epochs == thesis_fine_tuning(0.6)
    assert recipes_for(settings, info, 0.2).fine_tune.epochs == thesis_fine_tuning(0.2)
    told = recipes_for(replace(settings, fine_tune_epochs=9, fine_tune_rate=0.03), info, 0.2)
    assert {(recipe.epochs, recipe.learning_rate) for recipe in (told.fine_tune, told.soft)} == {(9, 0.03)}
    assert told.dense.learning_rate == recipes_for(settings, info).dense.learning_rate


@pytest.mark.parametrize(
    ("told", "weights"),
    [
        ({"dataset": "cars3"}, "tiny"),
        ({"dataset": "mine"}, "tiny"),
        ({"dataset": "mine", "width": 0.25}, "tiny"),
        ({"dataset": "mine", "width": 0.5}, "none"),
        ({"dataset": "mine", "backbone": "vgg11"}, "none"),
        ({"dataset": "mine", "weights": "none"}, "none"),
        ({"dataset": "cars"}, "imagenet"),
        ({"dataset": "cars", "recipe": "small"}, "tiny"),
        ({"dataset": "drawn-cars"}, "none"),
        ({"dataset": "drawn-cars", "recipe": "small"}, "none"),
        ({"dataset": "drawn-cars", "weights": "tiny"}, "tiny"),
    ],
)
def test_photographs_start_from_a_pretrained_trunk_and_train_its_classifier_first(
    told: dict[str, Any], weights: str
) -> None:
    recipes = recipes_for(oneshot.Settings(**told, prune=0.4), data(told["dataset"]))
    assert recipes.weights == weights
    assert (recipes.classifier is None) == (weights == "none")
    if recipes.classifier:
        assert recipes.classifier.trains == "classifier"
    assert recipes_for(oneshot.Settings(**told, prune=0.4, classifier_epochs=0), data("cars3")).classifier is None


@pytest.mark.parametrize("name", ["birds50", "aircraft20", "cars50"])
def test_from_fresh_weights_the_recipe_is_that_of_the_recorded_results(name: str) -> None:
    record = read_record(next((ROOT / "results" / "oneshot" / name).glob("weightsnone-rulethesis-prune*.json")))
    prune = record.settings["prune"]
    assert isinstance(prune, float)
    settings = oneshot.Settings(dataset=name, weights="none", rule="thesis", prune=prune)
    recipes = recipes_for(settings, record.data)
    known = {**base_recipes(recipes), "fine-tune": recipes.fine_tune}
    assert differences(record, recorded_settings(settings, record.data), record.data, known) == []


@pytest.mark.parametrize(
    ("told", "name", "expected"),
    [
        ({}, "cars3", True),
        ({}, "mine", True),
        ({}, "drawn-cars", False),
        ({"dense_as_long": "yes"}, "drawn-cars", True),
        ({"dense_as_long": "no"}, "cars3", False),
        ({"control": False}, "cars3", False),
        ({"control": False, "dense_as_long": "yes"}, "cars3", True),
    ],
)
def test_the_dense_network_is_trained_as_long_on_photographs(told: dict[str, Any], name: str, expected: bool) -> None:
    settings = oneshot.Settings(dataset=name, prune=0.4, **told)
    (flow,) = oneshot.flows(settings, data(name))
    assert ("dense-as-long" in {phase.name for phase in flow.networks}) == expected
    assert ("control" in {phase.name for phase in flow.networks}) == settings.control
    recipes = recipes_for(settings, data(name))
    epochs = recipes.dense.epochs + recipes.sparse.epochs + recipes.fine_tune.epochs
    assert recipes.as_long(recipes.fine_tune.epochs) == replace(recipes.dense, epochs=epochs)


@pytest.mark.parametrize("flow", [equal_cost, proxy])
@pytest.mark.parametrize(("told", "expected"), [("auto", None), ("yes", True), ("no", False)])
def test_a_control_that_is_asked_for_is_trained(flow: Any, told: Any, expected: bool | None) -> None:
    """Each by its own setting; auto trains both or none."""
    for control in (True, False):
        settings = flow.Settings(dataset="drawn-cars", control=control, dense_as_long=told)
        (planned,) = flow.flows(settings, data("drawn-cars"))
        found = {phase.name for phase in planned.networks}
        assert ("control" in found) == control
        usual = control if flow is equal_cost else False
        assert ("dense-as-long" in found) == (usual if expected is None else expected)


@pytest.mark.parametrize(
    ("head", "rate"), [("bilinear", 100), ("reduced", 100), ("low-rank", 100), ("average", 1), ("flatten", 1)]
)
def test_dense_layers_learn_fast_only_from_unit_vectors(head: str, rate: float) -> None:
    recipes = recipes_for(oneshot.Settings(dataset="drawn-cars", prune=0.4, head=head), data("drawn-cars"))
    for recipe in (recipes.dense, recipes.sparse, recipes.fine_tune, recipes.soft):
        assert recipe.classifier_rate == rate
        assert recipe.classifier_weight_decay == (0 if rate > 1 else recipe.weight_decay)


@pytest.mark.parametrize(
    ("backbone", "head", "criterion", "most"),
    [
        ("vgg11", "flatten", "bn-scale", 0.2),
        ("vgg11", "flatten", "taylor", 0.2),
        ("vgg11", "flatten", "random", 0.9),
        ("vgg11", "bilinear", "bn-scale", 0.9),
        ("student", "average", "bn-scale", 0.8),
        ("student", "average", "filter-norm", 0.9),
    ],
)
def test_only_channels_with_scores_count_as_those_that_may_go(
    backbone: str, head: str, criterion: str, most: float
) -> None:
    """Before anything is trained: layers without BatchNorm keep all channels, by criteria that rank by it."""
    info = replace(data("drawn-cars"), side=64)
    told = {"dataset": info.name, "backbone": backbone, "head": head, "criterion": criterion}
    for share in (most, most + 0.05):
        settings = criteria.Settings(**told, prune=share)  # type: ignore[arg-type]
        spec = settings.unpruned(info)
        scored = spec.layers if criterion in ("random", "filter-norm") else spec.gated
        may_go = sum(max(0, spec.width_of[layer] - settings.min_channels) for layer in scored)
        if round(share * spec.channels) <= may_go:
            require_trainable(settings, info)
        else:
            with pytest.raises(ValueError, match="channels cannot go while"):
                require_trainable(settings, info)


def test_what_is_new_is_recorded_only_where_it_is_asked_for() -> None:
    """So that records from before are found."""
    plain = oneshot.Settings(dataset="cars3", prune=0.4).plain()
    assert not {"narrow", "classifier_epochs", "dense_as_long", "distil", "distil_weight"} & set(plain)
    asked = {"classifier_epochs": 0, "dense_as_long": "no", "narrow": True, "distil": True, "distil_weight": 0.5}
    told = oneshot.Settings(dataset="cars3", prune=0.4, weights="tiny", **asked).plain()  # type: ignore[arg-type]
    assert {name: told[name] for name in asked} == asked


def test_the_ablation_without_the_classifiers_phase_trains_as_many_epochs() -> None:
    settings = ablation.Settings(dataset="cars3")
    flows = [(flow.settings.plain(), flow) for flow in ablation.flows(settings, data("cars3"))]
    runs = {(plain["weights"], plain["variant"]): flow for plain, flow in flows}
    ours, at_once = (runs["tiny", variant] for variant in ("bcnn-bn", "bcnn-bn-at-once"))
    assert [phase.name for phase in ours.phases] == ["classifier", "dense"]
    assert [phase.name for phase in at_once.phases] == ["dense"]
    assert sum(phase.epochs for phase in ours.phases) == sum(phase.epochs for phase in at_once.phases)
    assert {variant for weights, variant in runs if weights == "none"} == {*ablation.VARIANTS} - {"bcnn-bn-at-once"}


@pytest.mark.parametrize(("told", "share"), [({"prune": 0.6}, 0.6), ({"keep_macs": 0.3, "sparsity_share": 0.8}, 0.8)])
def test_the_share_of_scales_at_zero_is_that_of_the_sparse_phase_alone(told: dict[str, Any], share: float) -> None:
    settings = oneshot.Settings(dataset="drawn-cars", sparsity="auto", scale_weight_decay=0.0, **told)
    settings.check()
    recipes, plain = recipes_for(settings, data("drawn-cars")), oneshot.Settings(dataset="drawn-cars", **told)
    assert (recipes.sparse.sparsity_share, recipes.sparse.keep) == (share, "last")
    before = recipes_for(replace(plain, sparsity_share=None), data("drawn-cars"))
    assert replace(recipes.sparse, sparsity_share=0.0, scale_weight_decay=None) == before.sparse
    assert (recipes.dense, recipes.fine_tune) == (before.dense, before.fine_tune)
    assert "sparsityauto-" in settings.name(data("drawn-cars"))
    assert settings.plain()["sparsity"] == "auto"


def test_a_reduction_is_refused_where_the_head_has_none() -> None:
    oneshot.Settings(dataset="cars3", prune=0.4, head="reduced", reduce_to=32).check()
    with pytest.raises(ValueError, match="--reduce-to means nothing with --head average: take reduced"):
        oneshot.Settings(dataset="cars3", prune=0.4, head="average", reduce_to=32).check()
