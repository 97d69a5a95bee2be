"""Settings of cuts and fine-tuning reach the recipes, whichever class declares them."""

from dataclasses import fields, replace
from typing import Any

import pytest

from experiments import ablation, criteria, iterative, oneshot, scratch, soft, sweep
from experiments.grid.planning import GridSettings
from experiments.recipes import thesis_fine_tuning
from experiments.run.settings import FlowSettings, recipes_for
from tests.helpers.explicit_records import data

FLOWS = (ablation, criteria, iterative, oneshot, scratch, soft, sweep)
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
    assert recipes_for(replace(settings, fine_tune_epochs=9), info, 0.2).fine_tune.epochs == 9
