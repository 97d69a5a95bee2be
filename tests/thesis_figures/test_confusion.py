"""The table of accuracy by class: a function of the matrices that records hold."""

from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics

from bcnn_prune.records import ConfusionMatrix, RunRecord
from tests.helpers.explicit_records import CUT, TESTED, THESIS, everything, of_200, rows_of, run
from thesis_figures import tables
from thesis_figures.tables import confusion, formats
from thesis_figures.tables.table import Table


def matrix(correct: int) -> ConfusionMatrix:
    """200 images of three classes: all errors take the first class for the others, and one the last for the first."""
    wrong = 200 - correct
    cells = {(0, 0): 40, (0, 1): wrong - 11, (0, 2): 10, (1, 1): correct - 80, (2, 0): 1, (2, 2): 40}
    true, predicted = zip(*cells, strict=True)
    return ConfusionMatrix(true, predicted, tuple(cells.values()), 200)


def with_matrices(record: RunRecord) -> RunRecord:
    *before, last = record.steps
    last = replace(last, confusion=matrix(last.final.correct))
    found = {name: matrix(tested.correct) for name, tested in record.test.items()}
    return replace(record, steps=(*before, last), confusion=found)


def made(records: list[RunRecord]) -> Table:
    found = confusion.table(records, THESIS)
    assert found is not None
    return found


def test_it_is_left_out_where_no_record_holds_a_matrix() -> None:
    assert confusion.table(everything(), THESIS) is None
    names = [table.name for table in tables.record_tables(everything(), THESIS)]
    assert "table-confusion" not in names
    more = [table.name for table in tables.record_tables([*everything(), with_matrices(run(prune=0.2))], THESIS)]
    assert more == [*names, "table-confusion"]


def test_an_unpruned_network_that_two_runs_share_has_one_row() -> None:
    rows = rows_of(made([with_matrices(run(prune=prune, seed=seed)) for prune in (0.2, 0.4) for seed in (0, 1)]))
    assert [(row["network"], row["rate"], row["seed"], row["flow"]) for row in rows] == [
        *((network, "0", seed, "") for network in ("dense", "control") for seed in "01"),
        *(("pruned", rate, seed, "one-shot") for rate in ("0.2", "0.4") for seed in "01"),
    ]


def test_the_numbers_are_those_of_scikit_learn_and_the_classes_have_names() -> None:
    (row,) = rows_of(made([with_matrices(run())]), network="pruned")
    found = matrix(CUT.final.correct)
    true, predicted = (np.repeat(labels, found.count) for labels in (found.true, found.predicted))
    expected = sklearn.metrics.precision_recall_fscore_support(true, predicted, average="macro")
    told = [float(row[f"macro_{score}_percent"]) for score in ("precision", "recall", "f1")]
    assert told == pytest.approx([100 * score for score in expected[:3]])
    assert float(row["top_1_percent"]) == pytest.approx(77.5)
    assert float(row["interval_from"]) < 77.5 < float(row["interval_to"])
    assert row["top_5_percent"] == ""
    assert row["most_confused"] == "a → b 34; a → c 10; c → a 1"
    assert row["lowest_class"] == "a 48% of 84"
    assert row["accuracy_by_class"] == "a 47.62%; b 100.00%; c 97.56%"


def test_top_5_stands_where_it_says_something() -> None:
    record = with_matrices(run())
    wide = replace(record, data=replace(record.data, class_names=tuple("abcdef")))
    (row,) = rows_of(made([wide]), network="pruned")
    assert float(row["top_5_percent"]) == 100


def test_the_other_flows_have_their_final_networks() -> None:
    shapes = {"scratch-epochs": of_200(140), "scratch-compute": of_200(145)}
    anew = with_matrices(
        run(
            "scratch",
            test={**TESTED, **shapes},
            recipes={**run().recipes, **dict.fromkeys(shapes, run().recipes["dense"])},
        )
    )
    criterion = with_matrices(run("criteria", criterion="random"))
    bare = run("ablation", steps=(), variant="bcnn-bn-l1", test={name: TESTED[name] for name in ("dense", "sparse")})
    ablated = replace(bare, confusion={name: matrix(tested.correct) for name, tested in bare.test.items()})
    table = made([anew, criterion, ablated])
    assert {(row["network"], row["flow"]) for row in rows_of(table)} == {
        ("dense", ""),
        ("control", ""),
        ("pruned", "scratch"),
        ("scratch-epochs", "scratch"),
        ("scratch-compute", "scratch"),
        ("random", "criteria"),
        ("bcnn-bn-l1", "ablation"),
    }
    (variant,) = rows_of(table, network="bcnn-bn-l1")
    assert float(variant["top_1_percent"]) == pytest.approx(100 * TESTED["sparse"].accuracy)
    assert formats.as_latex(table).isascii()
    assert "a → b" in formats.as_markdown(table)
