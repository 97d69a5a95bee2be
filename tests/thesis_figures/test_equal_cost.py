"""Ways to select channels at equal cost: intervals and tests by other roads, and records that come in pieces."""

from dataclasses import replace
from math import comb
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from bcnn_prune.records import Evaluation, Latency, RunRecord, to_json
from bcnn_prune.records.compared import pack, unpack
from bcnn_prune.records.file_latency import FileTime, FileTimes, shapes
from tests.helpers.compared_records import compared
from tests.helpers.explicit_records import rows_of
from tests.helpers.figure_layout import problems
from tests.helpers.random_records import IMAGES, SIDE, made
from thesis_figures import tables
from thesis_figures.analysis import runs
from thesis_figures.analysis.equal_cost import SELECTIONS, comparisons, mcnemar, of_one_base
from thesis_figures.analysis.tradeoffs import EQUAL_COST
from thesis_figures.catalogue import figures
from thesis_figures.figures import pruning_lines
from thesis_figures.figures.equal_cost import accuracy
from thesis_figures.load import Measured
from thesis_figures.tables import equal_cost, formats
from thesis_figures.tables.table import Table

SEEDS, NAMES = (0, 1, 2), ("thesis", "mean", "rank", "random-in-widths")
KEPT = ("recipes", "training", "test", "correct")
"""Fields of a record by phase."""
GROUP = ("thesis", "raw", "mean", "rms", "lamp", "rank")
RECORDS = [compared("birds50", seed, (0.5, 0.3), NAMES) for seed in SEEDS]


def table_of(records: list[RunRecord]) -> Table:
    made = equal_cost.table(records, None)
    assert made is not None
    return made


def accuracies(name: str, budget: float) -> list[float]:
    return [
        100 * network.test.accuracy
        for record in RECORDS
        for network in record.compared
        if (network.selection, network.keep_macs) == (name, budget)
    ]


def test_intervals_are_those_of_students_t_and_differences_are_paired() -> None:
    (row,) = rows_of(table_of(RECORDS), keep_macs=0.3, selection="|γ| ÷ layer mean")
    ours, thesis = accuracies("mean", 0.3), accuracies("thesis", 0.3)
    dense = [100 * record.test["dense-as-long"].accuracy for record in RECORDS]
    for prefix, values in (
        ("accuracy", ours),
        ("to_dense_as_long", np.subtract(ours, dense)),
        ("to_thesis", np.subtract(ours, thesis)),
    ):
        quantity = "accuracy_percent" if prefix == "accuracy" else f"{prefix}_points"
        interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert float(row[f"{quantity}_mean"]) == pytest.approx(np.mean(values))
        assert float(row[f"{prefix}_interval"]) == pytest.approx((interval.high - interval.low) / 2)
        assert int(row[f"{quantity}_n"]) == 3


def test_mcnemar_is_the_binomial_test_of_images_that_one_network_alone_is_right_on() -> None:
    (found,) = comparisons(RECORDS)
    first, second = found.seeds("mean", 0.5), found.seeds("thesis", 0.5)
    for seed, value in zip(SEEDS, mcnemar(first, second), strict=True):
        a, b = (unpack(networks[seed].correct, IMAGES) for networks in (first, second))
        only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
        n, less = only_a + only_b, min(only_a, only_b)
        tail = sum(comb(n, k) for k in range(less + 1))
        assert value == pytest.approx(min(1, 2 * tail / 2**n) if only_a != only_b else 1)
    assert mcnemar(first, first) == [1, 1, 1]


def test_records_in_pieces_are_one_comparison_and_a_network_of_two_counts_once() -> None:
    pieces = [
        compared("birds50", seed, budgets, names)
        for seed in SEEDS
        for budgets, names in (((0.5,), NAMES[:3]), ((0.5, 0.3), NAMES[2:]), ((0.3,), NAMES[:2]))
    ]
    whole = formats.as_csv(table_of(RECORDS))
    assert formats.as_csv(table_of(pieces)) == formats.as_csv(table_of(pieces[::-1])) == whole
    taught = formats.as_csv(table_of([*pieces, compared("birds50", 0, (0.3,), NAMES[:1], distil=True)]))
    more = set(taught.splitlines()) - set(whole.splitlines())
    assert sorted(line.split(",")[1:6] for line in more) == [
        ["0.3", "", "|γ| as it is (thesis) + distillation", "", "1"],
        ["1", "", "control + distillation", "", "1"],
    ]


def test_networks_of_equal_time_have_rows_of_their_own_beside_the_unpruned_ones() -> None:
    record = RECORDS[0]
    timed = tuple(replace(one, keep_macs=None, keep_ms=one.keep_macs) for one in record.compared)
    rows, by_macs = table_of([replace(record, compared=timed)]).rows, table_of([record]).rows
    assert [{**row, "keep_macs": row["keep_ms"], "keep_ms": None} for row in rows] == [
        {**row, "keep_ms": None} for row in by_macs
    ]
    both = table_of([replace(record, compared=record.compared + timed)]).rows
    assert [row for row in both if row.get("keep_ms") is None] == list(by_macs)
    assert [row for row in both if row.get("keep_ms") is not None] == list(rows)

    drawn = figures(Measured([replace(one, compared=one.compared + timed) for one in RECORDS[:1]]))
    names = {name for name in drawn if "equal-cost" in name or "pruning-lines" in name}
    alone = figures(Measured(RECORDS[:1]))
    assert names - set(alone) == {"figure-equal-cost-real-50-ms", "figure-equal-cost-real-30-ms"}
    (by_time,), (by_macs,) = (drawn[f"figure-equal-cost-real-30{end}"]().axes for end in ("-ms", ""))
    for ax in (by_time, by_macs):
        assert problems(ax.figure) == []
    assert [line.lines[0].get_xdata()[0] for line in by_time.containers] == [
        line.lines[0].get_xdata()[0] for line in by_macs.containers
    ]
    only = figures(Measured([replace(RECORDS[0], compared=timed)]))
    assert {name for name in only if "equal-cost" in name} == names - set(alone)
    both_kinds = pruning_lines.lines([replace(RECORDS[0], compared=RECORDS[0].compared + timed)])
    points = {key: len(line) for key, line in pruning_lines.lines(RECORDS[:1]).items()}
    assert points == {key: len(line) for key, line in both_kinds.items()} != {}


def tuned(record: RunRecord, epochs: int, rate: float) -> RunRecord:
    """The record as of a fine-tuning of so many epochs at this rate, given as settings."""
    recipe = replace(record.recipes["fine-tune"], epochs=epochs, learning_rate=rate)
    settings = {**record.settings, "fine_tune_epochs": epochs, "fine_tune_rate": rate}
    return replace(record, settings=settings, recipes={**record.recipes, "control": recipe, "fine-tune": recipe})


def test_what_was_trained_otherwise_stands_apart() -> None:
    recipe = RECORDS[0].recipes["fine-tune"]
    as_usual = tuned(RECORDS[2], recipe.epochs, recipe.learning_rate)
    longer = [tuned(record, 20, recipe.learning_rate) for record in RECORDS[:2]]
    rows = rows_of(table_of([*RECORDS[:2], as_usual, *longer]), keep_macs=0.3, selection="|γ| as it is (thesis)")
    assert sorted((row["differs_in"], row["n"]) for row in rows) == [
        ("fine-tune epochs 20", "2"),
        (f"fine-tune epochs {recipe.epochs}", "3"),
    ]


def test_lengths_stand_apart_without_a_control_and_where_nothing_was_cut() -> None:
    def alone(record: RunRecord, *phases: str) -> RunRecord:
        kept = {name: {key: value for key, value in getattr(record, name).items() if key in phases} for name in KEPT}
        return replace(record, **kept)

    short, long = RECORDS[0], tuned(RECORDS[0], 20, 0.5)
    cut = [alone(record, "dense", "sparse", "fine-tune") for record in (short, long)]
    assert [len(comparisons(cut)), len(comparisons([cut[0], cut[0]]))] == [2, 1]
    whole = replace(
        alone(short, "dense", "sparse", "dense-as-long"), compared=compared("birds50", 0, (0.3,), ("uniform",)).compared
    )
    drawn = figures(Measured([whole]))
    assert problems(drawn["figure-equal-cost-real-30"]()) == []
    assert not any("fine-tuning" in name for name in drawn)


def test_a_budget_has_the_ways_of_every_fine_tuning() -> None:
    recipe = RECORDS[0].recipes["fine-tune"]
    longer = [tuned(compared("birds50", seed, (0.3, 0.15), ("mean",)), 20, 0.5) for seed in SEEDS[:2]]
    drawn = figures(Measured([*RECORDS, *longer]))
    figure = drawn["figure-equal-cost-real-30"]()
    assert problems(figure) == []
    (ax,) = figure.axes
    shown = [str(line.get_label()) for line in ax.containers]
    usual = f"fine-tuned for {recipe.epochs} epochs, rate {recipe.learning_rate:g}"
    assert {label: shown.count(label) for label in shown} == {
        usual: len(NAMES),
        "fine-tuned for 20 epochs, rate 0.5": 1,
    }
    (ax,) = drawn["figure-equal-cost-real-15"]().axes
    assert [line.get_label() for line in ax.containers] == ["fine-tuned for 20 epochs, rate 0.5"]


def test_a_rate_that_one_set_of_several_had_is_left_to_the_table() -> None:
    others = [compared("cars50", seed, (0.3,), NAMES) for seed in SEEDS]
    recipe = RECORDS[0].recipes["fine-tune"]
    tried = [tuned(record, recipe.epochs, rate) for record in RECORDS for rate in (0.2, 0.9)]
    usual = f"fine-tuned for {recipe.epochs} epochs, rate {recipe.learning_rate:g}"
    for ax in figures(Measured([*RECORDS, *tried, *others]))["figure-equal-cost-real-30"]().axes:
        assert {str(line.get_label()) for line in ax.containers} == {usual}
    (ax,) = figures(Measured([*RECORDS, *tried]))["figure-equal-cost-real-30"]().axes
    assert len({line.get_label() for line in ax.containers}) == 3
    apart = [tuned(record, recipe.epochs, 0.2) for record in RECORDS]
    axes = figures(Measured([*apart, *others]))["figure-equal-cost-real-30"]().axes
    assert [len({line.get_label() for line in ax.containers}) for ax in axes] == [1, 1]


def test_figures_are_of_networks_that_were_trained_alike_before_the_cut() -> None:
    heavier = replace(RECORDS[0].recipes["sparse"], sparsity=0.5)
    variant = replace(
        compared("birds50", 0, (0.3,), NAMES[:2]),
        settings={**RECORDS[0].settings, "sparsity": 0.5},
        recipes={**RECORDS[0].recipes, "sparse": heavier},
    )
    longer = [tuned(record, 20, RECORDS[0].recipes["fine-tune"].learning_rate) for record in (*RECORDS, variant)]
    for records in ([variant, *RECORDS, *longer[::-1]], [*longer, *RECORDS, variant]):
        drawn, alone = figures(Measured(records)), figures(Measured([*RECORDS, *longer[:3]]))
        for name in ("figure-equal-cost-real-30", "figure-fine-tuning-real-30", "figure-equal-cost-real-parameters"):
            assert points_of(drawn[name]()) == points_of(alone[name]())
    assert len(table_of([*RECORDS, variant]).rows) == len(table_of(RECORDS).rows) + 6
    faster = tuned(RECORDS[0], RECORDS[0].recipes["fine-tune"].epochs, 0.9)
    repaired = replace(variant, settings={**RECORDS[0].settings, "repair": 256}, recipes=RECORDS[0].recipes)
    for records in ([*RECORDS, variant, faster, repaired], [repaired, faster, variant, *RECORDS]):
        assert pruning_lines.lines(records) == pruning_lines.lines(RECORDS) != {}


def test_networks_of_another_base_have_no_budget_of_their_own_in_figures() -> None:
    other = {**RECORDS[0].settings, "multiple": 8}
    variant = replace(compared("birds50", 0, (0.2,), NAMES[:2]), settings=other)
    assert figures(Measured([*RECORDS, variant])).keys() == figures(Measured(RECORDS)).keys()
    kept = [replace(RECORDS[0], settings={**RECORDS[0].settings, "floor": floor}) for floor in (4, 8)]
    assert len(of_one_base(kept)) == 1


@pytest.mark.parametrize(
    "record",
    [
        compared("birds50", 0, (0.3,), ("mean", "random-in-widths")),
        compared("birds50", 0, (0.3,), ("mean", "rank"), distil=True),
    ],
    ids=["same widths", "distilled"],
)
def test_ways_that_no_row_of_widths_has_are_shown_all(record: RunRecord) -> None:
    for name, draw in figures(Measured([record])).items():
        if "equal-cost" in name or "allocation" in name:
            assert problems(draw()) == []


def test_a_set_of_one_comparison_is_shown_beside_others() -> None:
    few = [compared("birds50x4", 0, (0.3,), NAMES)]
    few = [replace(record, data=replace(record.data, family=RECORDS[0].data.family)) for record in few]
    drawn = figures(Measured([*RECORDS, *few]))
    for name, sets in (("equal-cost-real-30", ["birds50", "birds50x4"]), ("pruning-lines-real", ["birds50"])):
        titles = (ax.get_title().splitlines() for ax in drawn[f"figure-{name}"]().axes)
        assert [title[0] for title in titles if title] == sets


def points_of(figure: Figure) -> list[list[float]]:
    return [list(line.lines[0].get_xydata().flat) for ax in figure.axes for line in ax.containers]


def test_bars_of_two_seeds_are_their_range() -> None:
    one, two = (next(n for n in RECORDS[seed].compared if n.selection == "mean") for seed in (0, 1))
    shown = accuracy([one, two])
    ends = sorted((one.test.accuracy, two.test.accuracy))
    assert shown.deviation is not None
    assert [shown.mean - shown.deviation, shown.mean + shown.deviation] == pytest.approx(ends)


def test_a_way_of_another_fine_tuning_alone_stands_below_the_others() -> None:
    longer = tuned(compared("birds50", 0, (0.3,), ("sensitivity",)), 20, 0.5)
    best = replace(longer.compared[0], test=Evaluation(IMAGES, IMAGES), correct=pack(np.ones(IMAGES, bool)))
    figure = figures(Measured([*RECORDS, replace(longer, compared=(best,))]))["figure-equal-cost-real-30"]()
    lowest, *others = (label.get_text() for label in figure.axes[0].get_yticklabels())
    assert lowest == "|γ|, widths by sensitivity"
    means = [np.mean(accuracies(name, 0.3)) for name in NAMES]
    assert others == [SELECTIONS[NAMES[i]] for i in np.argsort(means)]


def test_a_way_that_one_set_has_stands_below_those_of_all_sets() -> None:
    best = compared("cars50", 0, (0.3,), ("lamp",))
    (network,) = best.compared
    perfect = replace(network, test=Evaluation(IMAGES, IMAGES), correct=pack(np.ones(IMAGES, bool)))
    others = compared("cars50", 0, (0.3,), NAMES)
    figure = figures(Measured([*RECORDS, replace(others, compared=(*others.compared, perfect))]))[
        "figure-equal-cost-real-30"
    ]()
    assert figure.axes[0].get_yticklabels()[0].get_text() == "LAMP"


def test_no_axis_shows_an_accuracy_above_one() -> None:
    def all_or_none(seed: int) -> RunRecord:
        record, right = compared("birds50", seed, (0.3, 0.15), NAMES), seed == 0
        test, bits = Evaluation(IMAGES, IMAGES * right), pack(np.full(IMAGES, right))
        return replace(record, compared=tuple(replace(one, test=test, correct=bits) for one in record.compared))

    # Of accuracies 1, 0 and 0 the interval ends at 1.77.
    longer = [tuned(all_or_none(seed), epochs, 0.5) for seed in SEEDS for epochs in (5, 20)]
    for name, draw in figures(Measured(longer)).items():
        if "multiply-adds" in name or "fine-tuning" in name:
            assert all(ax.get_ylim()[1] <= 1 for ax in draw().axes)


def test_records_of_one_seed_that_cut_different_sparse_networks_are_not_joined() -> None:
    here, there = compared("birds50", 1, (0.5,)), compared("birds50", 1, (0.3,))
    there = replace(there, correct={**there.correct, "sparse": pack(np.zeros(IMAGES, bool))})
    with pytest.raises(ValueError, match="on birds50, seed 1, cut different networks, as of two machines: keep one"):
        comparisons([here, there])


def test_a_record_whose_images_are_not_those_of_its_counts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "equal_cost" / "birds50" / "a.json"
    path.parent.mkdir(parents=True)
    path.write_text(to_json(RECORDS[0]))
    assert list(runs.read(tmp_path).values()) == [RECORDS[0]]
    first, *rest = RECORDS[0].compared
    for wrong in (
        replace(RECORDS[0], compared=(replace(first, correct=rest[0].correct), *rest)),
        replace(RECORDS[0], correct={"dense": first.correct}),
    ):
        path.write_text(to_json(wrong))
        with pytest.raises(ValueError, match=r"a.json: the correct images of (thesis|dense) are not those of"):
            runs.read(tmp_path)
    history = replace(RECORDS[0].training["dense"], kept_epoch=99)
    for wrong, message in (
        (replace(RECORDS[0], training={**RECORDS[0].training, "dense": history}), "dense keeps epoch 99 of"),
        (replace(RECORDS[0], correct={"other": first.correct}), "of the network other there are counts, and no test"),
    ):
        path.write_text(to_json(wrong))
        with pytest.raises(ValueError, match=f"a.json: {message}"):
            runs.read(tmp_path)
    path.write_text(to_json(replace(RECORDS[0], compared=(replace(first, cost=rest[0].cost), *rest))))
    with pytest.raises(ValueError, match=r"a.json: the widths of thesis at 0.5 of the multiply-adds give"):
        runs.read(tmp_path)


def test_without_such_records_there_is_no_table_and_no_figure() -> None:
    other = made("oneshot", "birds50", 0, (0.4,))
    assert equal_cost.table([other], None) is None
    assert [table.name for table in tables.measured_tables(Measured(RECORDS))] == ["table-equal-cost"]
    assert tables.measured_tables(Measured([other])) == []
    assert not any("equal-cost" in name or "allocation" in name for name in figures(Measured([other])))


def test_the_time_of_a_file_stands_beside_the_network_of_its_shape() -> None:
    """In the table over the unpruned one's, in the figure on the x axis; networks that were not timed have none."""
    known = sorted(set().union(*map(shapes, RECORDS)), key=repr)
    took = {shape: 1.0 + i for i, shape in enumerate(known) if shape[1] != RECORDS[2].compared[0].spec}
    files = FileTimes(
        "onnx-int8",
        tuple(FileTime(*shape, Latency(ms, ms, ms, 30, batch=1, threads=1)) for shape, ms in took.items()),
        {"cpu": "A slow one"},
    )
    timed = equal_cost.table(RECORDS, files)
    assert timed is not None
    networks = [next(one for one in run.compared if one.selection == "mean") for run in RECORDS]
    ms = np.mean([took[SIDE, network.spec] for network in networks])
    (row,) = rows_of(timed, keep_macs=0.5, selection="|γ| ÷ layer mean")
    assert float(row["ms_mean"]) == pytest.approx(ms)
    assert float(row["ms_share_mean"]) == pytest.approx(ms / took[SIDE, RECORDS[0].spec])
    (row,) = rows_of(timed, keep_macs=0.5, selection="|γ| as it is (thesis)")
    assert float(row["ms_mean"]) == np.mean([took[SIDE, run.compared[0].spec] for run in RECORDS[:2]])
    assert "in ONNX Runtime int8, threads: 1, on A slow one" in timed.notes[-1]
    assert "figure-equal-cost-real-cpu-time" not in figures(Measured(RECORDS))
    figure = figures(Measured(RECORDS, files=files))["figure-equal-cost-real-cpu-time"]()
    (line, _, _) = {str(bar.get_label()): bar for bar in figure.axes[0].containers}["|γ| ÷ layer mean"].lines
    assert line.get_xdata()[0] == pytest.approx(ms)
    assert problems(figure) == []


def test_figures_show_each_way_over_its_budgets_and_its_widths() -> None:
    drawn = figures(Measured(RECORDS))
    costs = [drawn[f"figure-equal-cost-real-{name}"]() for name in ("multiply-adds", "parameters")]
    widths = [drawn[f"figure-allocation-real-{budget}"]() for budget in (30, 50)]
    for ax in costs[0].axes:
        lines = {str(line.get_label()): line for line in ax.containers}
        (line, _, _) = lines["|γ| ÷ layer mean"].lines
        assert np.allclose(line.get_ydata(), [np.mean(accuracies("mean", budget)) / 100 for budget in (0.5, 0.3)])
    (ax,) = drawn["figure-equal-cost-real-30"]().axes
    means = {
        label.get_text(): line.lines[0].get_xdata()[0]
        for label, line in zip(ax.get_yticklabels(), ax.containers, strict=True)
    }
    assert means["|γ| ÷ layer mean"] == pytest.approx(np.mean(accuracies("mean", 0.3)) / 100)
    assert list(means.values()) == sorted(means.values())
    (row,) = (ax for ax in widths[0].axes if len(ax.containers) == 3)
    line = next(line for line in row.containers if line.get_label() == "uniform widths by |γ|").lines[0]
    specs = [n.spec.widths for r in RECORDS for n in r.compared if (n.selection, n.keep_macs) == ("rank", 0.3)]
    assert np.allclose(line.get_ydata(), np.mean(specs, axis=0) / RECORDS[0].spec.widths)


def test_the_seeds_named_over_widths_are_those_of_what_is_drawn() -> None:
    """Not of a way that was run at another budget, by other seeds."""
    two = [compared("birds50", seed, (0.3,), ("thesis", "mean")) for seed in (0, 1)]
    one = compared("birds50", 0, (0.5,), ("thesis", "mean", "rank"))
    (ax, *_) = figures(Measured([*two, one]))["figure-allocation-real-30"]().axes
    assert "n = 2 seeds" in ax.get_title()


def test_fine_tuning_has_a_line_for_each_rate_over_all_epochs() -> None:
    plans = [(epochs, rate) for epochs in (4, 16) for rate in (0.1, 0.2)]
    records = [tuned(record, *plan) for record in RECORDS for plan in plans]
    name = "figure-fine-tuning-real-30"
    assert name not in figures(Measured(RECORDS))
    figure = figures(Measured(records))[name]()
    assert problems(figure) == []
    (ax,) = figure.axes
    lines = {str(line.get_label()): line.lines[0] for line in ax.containers}
    assert len(lines) == 2 * len(NAMES) + 1
    before = 2 * RECORDS[0].recipes["dense"].epochs
    for rate in (0.1, 0.2):
        line = lines[f"|γ| ÷ layer mean, rate {rate}"]
        assert line.get_xdata().tolist() == [before + 4, before + 16]
        assert np.allclose(line.get_ydata(), np.mean(accuracies("mean", 0.3)) / 100)


def test_lengths_of_a_single_rate_each_are_one_line() -> None:
    records = [tuned(record, *plan) for record in RECORDS for plan in ((4, 0.1), (16, 0.2))]
    others = [tuned(compared("cars50", 0, (0.3,), NAMES), *plan) for plan in ((4, 0.1), (16, 0.2), (16, 0.3))]
    for shown in (records, [*records, *others]):  # a rate that one set tried is left out
        figure = figures(Measured(shown))["figure-fine-tuning-real-30"]()
        assert problems(figure) == []
        lines = {str(line.get_label()): line.lines[0] for line in figure.axes[0].containers}
        assert len(lines) == len(NAMES) + 1
        titles = [ax.get_title().split("\n")[0] for ax in figure.axes]
        assert titles == [runs.set_of(one) for one in (records[0], *others[: len(titles) - 1])]
        assert np.allclose(lines["|γ| ÷ layer mean"].get_ydata(), np.mean(accuracies("mean", 0.3)) / 100)


def test_a_line_over_parameters_has_one_length_of_fine_tuning() -> None:
    recipe = RECORDS[0].recipes["fine-tune"]
    longer = [tuned(record, 20, 0.5) for record in RECORDS]
    for more, ends in ((longer, {f", {recipe.epochs} epochs", ", 20 epochs"}), ([longer[0]], {", 20 epochs"})):
        shorter = RECORDS if len(more) > 1 else [compared("birds50", seed, (0.3,), NAMES) for seed in SEEDS]
        found = pruning_lines.lines([*shorter, *more])
        names = {name for comparison, name in found if comparison == EQUAL_COST and "mean" in name}
        assert names == {f"|γ| ÷ layer mean{end}" for end in ends}
        assert all(
            len({one.record.recipes["fine-tune"] for group in line for one in group}) == 1 for line in found.values()
        )


def test_dense_networks_beside_lines_are_those_of_the_length_of_most_runs() -> None:
    recipe, other = RECORDS[0].recipes["dense-as-long"], RECORDS[-1]
    longer = replace(
        other,
        recipes={**other.recipes, "dense-as-long": replace(recipe, epochs=99)},
        test={**other.test, "dense-as-long": Evaluation(IMAGES, IMAGES)},
    )
    figure = pruning_lines.draw({"birds50": [*RECORDS[:-1], longer]})
    (level,) = (line for line in figure.axes[0].lines if str(line.get_label()) == f"dense, {recipe.epochs} epochs")
    assert max(level.get_ydata()) < 1
    assert not any("99 epochs" in str(line.get_label()) for ax in figure.axes for line in ax.lines)


def test_a_run_of_many_cuts_counts_once_for_the_length_beside_lines() -> None:
    def as_long(record: RunRecord, epochs: int, correct: int) -> RunRecord:
        recipes = {**record.recipes, "dense-as-long": replace(record.recipes["dense"], epochs=epochs)}
        training = {**record.training, "dense-as-long": record.training["dense"]}
        test = {**record.test, "dense-as-long": Evaluation(IMAGES, correct)}
        return replace(record, recipes=recipes, training=training, test=test)

    iterative = as_long(made("iterative", "birds50", 0, (0.2, 0.4, 0.6, 0.8)), 56, IMAGES)
    soft = [as_long(made("soft", "birds50", 0, (rate,)), 44, IMAGES // 2) for rate in (0.2, 0.4)]
    figure = pruning_lines.draw({"birds50": [iterative, *soft]})
    (level,) = (line for line in figure.axes[0].lines if str(line.get_label()).endswith(" epochs"))
    assert (level.get_label(), max(level.get_ydata())) == ("dense, 44 epochs", pytest.approx(0.5, abs=0.01))


def test_four_sets_fit() -> None:
    many = [compared(label, 0, (0.5, 0.15), GROUP) for label in ("birds50", "cars50", "aircraft20", "mine")]
    drawn = figures(Measured([*many, compared("cars50", 0, (0.15,), ("mean",), distil=True)]))
    for name in ("figure-equal-cost-real-multiply-adds", "figure-equal-cost-real-15", "figure-allocation-real-15"):
        assert problems(drawn[name]()) == []
