"""Records: the same again after JSON, and a clear word for any other text."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.records import (
    Augmentation,
    ComparedNetwork,
    ConfusionMatrix,
    Cost,
    DatasetInfo,
    Distillation,
    EpochStats,
    Evaluation,
    History,
    Latency,
    PackedNetwork,
    PruneStep,
    Recipe,
    RunRecord,
    SoftPruningEvent,
    from_json,
    read_record,
    to_json,
)
from bcnn_prune.records.json_file import CONVERTER
from tests.helpers.strategies import TINY, plans

numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 10**9)
rates = st.floats(1e-9, 1e3)
evaluations = st.integers(1, 10**6).flatmap(lambda n: st.builds(Evaluation, st.just(n), st.integers(0, n)))


def matrix_of(cells: dict[tuple[int, int], int]) -> ConfusionMatrix:
    in_order = sorted(cells.items())
    true, predicted = (tuple(cell[i] for cell, _ in in_order) for i in (0, 1))
    return ConfusionMatrix(true, predicted, tuple(count for _, count in in_order), sum(cells.values()))


matrices = st.dictionaries(
    st.tuples(st.integers(0, 9), st.integers(0, 9)), st.integers(1, 10**6), min_size=1, max_size=9
).map(matrix_of)
zeroings = st.builds(SoftPruningEvent, counts, evaluations, evaluations, st.none() | st.floats(0, 1))
epochs = st.builds(
    EpochStats,
    counts,
    numbers,
    numbers,
    evaluations,
    evaluations,
    numbers,
    numbers,
    st.none() | zeroings,
    st.none() | numbers,
)
histories = st.builds(History, st.lists(epochs, min_size=1, max_size=3).map(tuple), st.just(1))
recipes = st.builds(
    Recipe,
    epochs=st.integers(1, 500),
    learning_rate=rates,
    batch=st.integers(1, 512),
    schedule=st.sampled_from(["cosine", "plateau"]),
    augment=st.builds(Augmentation),
    sparsity=st.floats(0, 1),
    update=st.sampled_from(["subgradient", "proximal"]),
    distillation=st.none() | st.builds(Distillation, rates, st.floats(0, 1)),
)
packed = st.builds(PackedNetwork, counts, counts, counts, evaluations, evaluations)
steps = plans(TINY).flatmap(
    lambda plan: st.builds(
        PruneStep,
        plan=st.just(plan),
        spec=st.just(plan.narrow(TINY)),
        cost=st.builds(Cost, counts, counts),
        threshold=numbers,
        certificate=numbers,
        rebuilt=evaluations,
        recalibrated=st.none() | evaluations,
        repaired=st.none() | evaluations,
        fine_tuned=st.none() | evaluations,
        fine_tuning=st.none() | histories,
        absorbed=st.none() | evaluations,
        confusion=st.none() | matrices,
        method=st.text(),
        packed=st.lists(packed, max_size=1).map(tuple),
    )
)
infos = st.builds(
    DatasetInfo,
    name=st.text(),
    side=st.integers(1, 999),
    class_names=st.lists(st.text(), max_size=3).map(tuple),
    images=st.dictionaries(st.sampled_from(["train", "val", "test"]), counts),
    per_class=st.tuples(counts, counts),
    source_widths=st.tuples(counts, counts),
    source_heights=st.tuples(counts, counts),
    digest=st.text(),
)
compared = st.builds(
    ComparedNetwork,
    selection=st.text(),
    keep_macs=st.floats(0, 1),
    spec=st.just(TINY),
    cost=st.builds(Cost, counts, counts),
    before=st.none() | evaluations,
    val=evaluations,
    test=evaluations,
    correct=st.text(),
)
records = st.builds(
    RunRecord,
    experiment=st.text(),
    settings=st.dictionaries(st.text(), st.none() | st.booleans() | counts | numbers | st.text(), max_size=4),
    seed=counts,
    data=infos,
    spec=st.just(TINY),
    cost=st.builds(Cost, counts, counts),
    recipes=st.dictionaries(st.text(), recipes, max_size=2),
    training=st.dictionaries(st.text(), histories, max_size=2),
    test=st.dictionaries(st.text(), evaluations, max_size=2),
    scales=st.dictionaries(st.text(), st.lists(numbers, max_size=3).map(tuple), max_size=2),
    steps=st.lists(steps, max_size=2).map(tuple),
    sweep=st.lists(steps, max_size=1).map(tuple),
    latency=st.dictionaries(
        st.text(), st.builds(Latency, numbers, numbers, numbers, counts, counts, counts), max_size=2
    ),
    confusion=st.dictionaries(st.text(), matrices, max_size=2),
    compared=st.lists(compared, max_size=1).map(tuple),
    correct=st.dictionaries(st.text(), st.text(), max_size=1),
    provenance=st.dictionaries(st.text(), st.text(), max_size=2),
)


@given(records)
def test_a_record_is_the_same_after_json(record: RunRecord) -> None:
    again = from_json(to_json(record))
    assert again == record
    assert {name: type(value) for name, value in again.settings.items()} == {
        name: type(value) for name, value in record.settings.items()
    }


@given(recipes, epochs)
def test_a_record_tells_of_distillation_only_where_there_was_some(recipe: Recipe, stats: EpochStats) -> None:
    """Records from before there was any stay as they are."""
    assert ("distillation" in CONVERTER.unstructure(recipe)) == (recipe.distillation is not None)
    history = CONVERTER.unstructure(History((stats,), 1))
    assert ("label_loss" in history["epochs"][0]) == (stats.label_loss is not None)


@given(records)
def test_a_record_without_a_confusion_matrix_does_not_mention_one(record: RunRecord) -> None:
    fields = CONVERTER.unstructure(record)
    assert ("confusion" in fields) == bool(record.confusion)
    steps = zip((*record.steps, *record.sweep), (*fields["steps"], *fields["sweep"]), strict=True)
    assert all(("confusion" in of_step) == (step.confusion is not None) for step, of_step in steps)


@given(records)
def test_a_record_tells_of_compared_networks_only_where_there_are_some(record: RunRecord) -> None:
    fields = CONVERTER.unstructure(record)
    assert ("compared" in fields, "correct" in fields) == (bool(record.compared), bool(record.correct))


@given(matrices)
def test_the_evaluation_of_a_confusion_matrix_is_its_diagonal(matrix: ConfusionMatrix) -> None:
    dense = np.zeros((10, 10), int)
    dense[list(matrix.true), list(matrix.predicted)] = matrix.count
    assert matrix.evaluation == Evaluation(int(dense.sum()), int(dense.trace()))


@pytest.mark.parametrize(
    ("true", "predicted", "count", "in_top_5", "message"),
    [
        ((0, 0), (1, 0), (1, 1), 2, "not in order"),
        ((0, 0), (1, 1), (1, 1), 2, "not in order"),
        ((0,), (0,), (0,), 0, "without images"),
        ((-1,), (0,), (1,), 1, "negative class"),
        ((0, 1), (0,), (1,), 1, "as many true classes"),
        ((0,), (0,), (1, 1), 1, "as many true classes"),
        ((0,), (0,), (3,), 2, "2 in the top 5 cannot be"),
        ((0,), (0,), (3,), 4, "4 in the top 5 cannot be"),
        ((), (), (), 0, "without images"),
    ],
)
def test_a_confusion_matrix_that_cannot_be_is_refused(
    true: tuple[int, ...], predicted: tuple[int, ...], count: tuple[int, ...], in_top_5: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ConfusionMatrix(true, predicted, count, in_top_5)


@given(records)
def test_what_is_repeatable_has_no_clock_in_it(record: RunRecord) -> None:
    assert record.repeatable() == record.repeatable().repeatable()
    assert (record.repeatable().latency, record.repeatable().provenance) == ({}, {})
    tunings = [step.fine_tuning for step in record.steps if step.fine_tuning is not None]
    left = [step.fine_tuning for step in record.repeatable().steps if step.fine_tuning is not None]
    assert len(left) == len(tunings)
    for history in (*record.repeatable().training.values(), *left):
        assert history.seconds == 0
    assert record.repeatable().steps == record.steps or any(history.seconds for history in tunings)


@given(records)
def test_a_list_of_numbers_stands_on_one_line(record: RunRecord) -> None:
    text = to_json(record)
    assert json.loads(text)["spec"]["widths"] == list(TINY.widths)
    assert '"widths": [3, 4, 5, 4, 6, 5, 4, 5]' in text


@given(steps)
def test_the_last_stage_of_a_step_is_final(step: PruneStep) -> None:
    stages = (step.fine_tuned, step.recalibrated, step.repaired, step.rebuilt)
    assert step.final is next(stage for stage in stages if stage is not None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[1, 2]", "it holds no object"),
        ('{"experiment": "oneshot"}', "version"),
        ('{"version": 99}', "version 99, this program reads version 2"),
        ('{"version": 2, "experiment": 3}', "required field missing"),
    ],
)
def test_another_text_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(ValueError, match=rf"record\.json is no run record: .*{message}"):
        read_record(tmp_path / "record.json")


@given(records)
def test_a_field_too_many_is_refused(record: RunRecord) -> None:
    fields = json.loads(to_json(record))
    with pytest.raises(ValueError, match="extra fields"):
        from_json(json.dumps({**fields, "mask": []}))


@pytest.mark.parametrize("counted", [(0, 0), (10, 11), (10, -1)])
def test_counts_that_cannot_be_are_refused(counted: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="is no evaluation"):
        Evaluation(*counted)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"learning_rate": 0.0},
        {"batch": -1},
        {"sparsity": -1e-4},
        {"momentum": 1.0},
        {"schedule": "cosin"},
        {"keep": "first"},
        {"update": "soft"},
        {"trains": "trunk"},
    ],
)
def test_a_recipe_that_cannot_work_is_refused_by_name(wrong: dict[str, object]) -> None:
    right = {"epochs": 1, "learning_rate": 0.1, "batch": 4, "schedule": "cosine", "augment": Augmentation()}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Recipe(**{**right, **wrong})  # type: ignore[arg-type]
