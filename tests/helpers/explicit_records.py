"""Records with numbers that a test names, and tables read back; `random_records` makes whole grids at random."""

import csv
from dataclasses import replace
from pathlib import Path

from bcnn_prune.datasets import DatasetName
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.records import (
    Augmentation,
    DatasetInfo,
    EpochStats,
    Evaluation,
    History,
    Latency,
    PruneStep,
    Recipe,
    RunRecord,
)
from bcnn_prune.spec import ModelSpec
from tests.helpers.strategies import TINY
from thesis_figures.analysis import reference
from thesis_figures.tables import formats
from thesis_figures.tables.table import Table

PUBLISHED = Path(__file__).parents[2] / "results" / "reference" / "thesis_results.csv"
THESIS = reference.read(PUBLISHED)
SIDE, IMAGES = 32, 200
RECIPE = Recipe(epochs=2, learning_rate=0.01, batch=8, schedule="cosine", augment=Augmentation(rotation=10))
SPARSE = replace(RECIPE, epochs=3, sparsity=1e-3, last_sparsity=1e-3)


def of_200(correct: int) -> Evaluation:
    return Evaluation(IMAGES, correct)


def history(val: int, test: int = 0) -> History:
    """One epoch; `test` only makes histories of networks that differ differ."""
    return History((EpochStats(1, 0.01, float(test), of_200(1), of_200(val), 0.0, 1.0),), 1)


def data(name: str) -> DatasetInfo:
    images = {"train": 300, "val": 150, "test": IMAGES}
    known, sizes = DatasetName.parse(name), ((10, 90), (20, 640), (30, 480))
    return DatasetInfo(name, known.family, known.kind, SIDE, ("a", "b", "c"), images, *sizes, f"digest of {name}")


def step(spec: ModelSpec, kept: int, tested: tuple[int, int, int | None], val: int = 150) -> PruneStep:
    """A cut to at most `kept` channels a layer; test counts when rebuilt, recalibrated and fine-tuned."""
    plan = ChannelPlan({layer: tuple(range(min(kept, width))) for layer, width in spec.width_of.items()})
    narrow, tuned = plan.narrow(spec), tested[2]
    return PruneStep(
        plan=plan,
        spec=narrow,
        cost=total_cost(narrow, SIDE),
        threshold=0.1,
        certificate=0.0,
        rebuilt=of_200(tested[0]),
        recalibrated=of_200(tested[1]),
        fine_tuned=None if tuned is None else of_200(tuned),
        fine_tuning=None if tuned is None else history(val, tuned),
    )


CUT = step(TINY, 2, (90, 120, 155))
TESTED = {"dense": of_200(160), "sparse": of_200(158), "control": of_200(159)}
RECIPES = {"dense": RECIPE, "sparse": SPARSE, "control": RECIPE, "fine-tune": RECIPE}


def run(
    experiment: str = "oneshot",
    seed: int = 0,
    data_set: str = "drawn-cars3",
    *,
    steps: tuple[PruneStep, ...] = (CUT,),
    sweep: tuple[PruneStep, ...] = (),
    test: dict[str, Evaluation] = TESTED,
    training: dict[str, History] | None = None,
    recipes: dict[str, Recipe] = RECIPES,
    **settings: str | int | float | None,
) -> RunRecord:
    """A record with the flow's usual settings and these; a run of 40 % unless told."""
    usual: dict[str, str | int | float | None] = {
        "backbone": "vgg11",
        "width": 1.0,
        "weights": "none",
        "trunk": "auto",
        "last_sparsity": None,
        "prune": 0.4,
    }
    return RunRecord(
        experiment=experiment,
        settings={**usual, **settings, "seed": seed},
        seed=seed,
        data=data(data_set),
        spec=TINY,
        cost=total_cost(TINY, SIDE),
        recipes=recipes,
        training={**{name: history(160, evaluation.correct) for name, evaluation in test.items()}, **(training or {})},
        test=test,
        steps=steps,
        sweep=sweep,
        latency={name: Latency(ms, ms, ms, 9, 1, 2) for name, ms in (("dense", 3.0), ("pruned", 2.0))},
        provenance={"cpu": "a slow one"},
    )


def rows_of(table: Table, **cells: object) -> list[dict[str, str]]:
    """The rows of its CSV, as read back, whose cells begin as asked."""
    rows = csv.DictReader(formats.as_csv(table).splitlines())
    return [row for row in rows if all(row[name] == str(value) for name, value in cells.items())]


def everything() -> list[RunRecord]:
    """A record or more of each experiment, three seeds of the one-shot flows."""
    heavy = {**RECIPES, "sparse": replace(SPARSE, last_sparsity=0.05)}
    narrower = step(TINY, 1, (60, 90, 150))
    two = (step(TINY, 3, (100, 130, 150)), step(replace(TINY, widths=(3,) * 8), 2, (80, 110, 140)))
    soft = step(TINY, 2, (90, 120, None))
    swept = tuple(replace(step(TINY, kept, (60, 120, None)), absorbed=of_200(70)) for kept in (3, 2))
    shapes = {"scratch-epochs": of_200(140), "scratch-compute": of_200(145)}
    anew = {**RECIPES, **dict.fromkeys(shapes, replace(RECIPE, epochs=7))}
    return [
        *(run(seed=seed) for seed in range(3)),
        *(run(seed=seed, last_sparsity=0.05, steps=(narrower,), recipes=heavy) for seed in range(3)),
        run("iterative", prune=0.8, steps=two),
        run("soft", steps=(soft,), training={"soft": history(150)}, recipes={**RECIPES, "soft": RECIPE}),
        *(run("criteria", criterion=name) for name in ("bn-scale", "random")),
        run("sweep", rates="0.2+0.4", steps=(), sweep=swept),
        run("scratch", test={**TESTED, **shapes}, recipes=anew),
        *(run("ablation", data_set="aircraft20", variant=name, steps=()) for name in ("vgg", "bcnn-bn-l1")),
    ]
