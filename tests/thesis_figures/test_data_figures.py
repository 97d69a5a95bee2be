"""Figures of records: what is plotted is what was recorded, nothing is clipped, and what is not there is not drawn."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer, ErrorbarContainer
from numpy.typing import NDArray

from bcnn_prune.records import NEAR_ZERO, Evaluation, RunRecord
from tests.helpers.figure_layout import problems
from tests.helpers.random_records import RECIPE, every_run, made
from thesis_figures import style
from thesis_figures.analysis import sets
from thesis_figures.analysis.claims import claims
from thesis_figures.analysis.tradeoffs import FLOW, networks
from thesis_figures.catalogue import PANELS, Draw, figures
from thesis_figures.figures import comparisons, gamma, panels, pruning_lines, ridge, sweep, tradeoff, widths, zeroing
from thesis_figures.load import Measured
from thesis_figures.tables import scratch

LABELS, SEEDS, RATES = ("drawn-birds50", "drawn-cars50", "drawn-aircraft50"), (0, 1, 2), (0.2, 0.4, 0.8)
RECORDS = every_run(LABELS, SEEDS, RATES)
SHOWN = sets.by_kind(RECORDS)["drawn"]
CARS = SHOWN["drawn-cars50"]
TRADEOFFS = ("tradeoff-%s-parameters", "tradeoff-%s-multiply-adds", "tradeoff-%s-cpu-time")


def data_figures(records: list[RunRecord]) -> dict[str, Draw]:
    """Without the drawings, which need no record."""
    return {name: draw for name, draw in figures(Measured(records)).items() if name not in figures(Measured())}


def runs_of(experiment: str, **settings: object) -> list[RunRecord]:
    """Records of the cars, in the order of seeds."""
    return [
        record
        for record in CARS
        if record.experiment == experiment
        and all(record.settings.get(name) == value for name, value in settings.items())
    ]


def curves(ax: Axes) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """Label, points as rows of x and y, and the half lengths of their bars alike."""
    for container in ax.containers:
        if isinstance(container, ErrorbarContainer):
            line, _, bars = container.lines
            assert line is not None
            ends = [np.array(list(bar.get_segments())) for bar in bars]
            halves = [np.ptp(both[:, :, axis], axis=1) / 2 for axis, both in enumerate(ends)] if len(ends) == 2 else []
            yield str(container.get_label()), np.array(line.get_data()), np.array(halves)


def curve(ax: Axes, label: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return next((points, bars) for name, points, bars in curves(ax) if name == label)


def spread(rows: list[list[float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each row by numpy."""
    values = np.array(rows)
    return values.mean(axis=1), values.std(axis=1, ddof=1)


def test_there_is_each_figure_of_each_kind_that_has_records() -> None:
    both = data_figures([*RECORDS, *every_run(("cars50",), (0,), RATES)])
    recorded = {record.experiment for record in RECORDS}
    drawn = (f"{name}-%s" for name, (_, experiments) in PANELS.items() if not recorded.isdisjoint(experiments))
    names = ("4.2-gamma-%s", "pruning-lines-%s", *TRADEOFFS, *drawn)
    wanted = {f"figure-{name % kind}" for name in names for kind in ("drawn", "real")}
    assert set(both) == wanted | {f"figure-ridge-{label}" for label in (*LABELS, "cars50")}


@pytest.mark.parametrize("name", sorted(data_figures(RECORDS)))
def test_no_text_is_clipped_or_on_another(name: str) -> None:
    figure = data_figures(RECORDS)[name]()
    assert problems(figure) == []
    assert figure.get_figwidth() == style.WIDE


@pytest.mark.parametrize("labels", [("cars50",), ("drawn-cars", "drawn-cars50", "drawn-birds50", "drawn-aircraft50")])
def test_one_set_or_four_fit_as_well(labels: tuple[str, ...]) -> None:
    of_sets = {name: draw for name, draw in data_figures(every_run(labels, (0,), RATES)).items() if "ridge" not in name}
    assert {name: wrong for name, draw in of_sets.items() if (wrong := problems(draw()))} == {}


@pytest.mark.parametrize("name", ["figure-tradeoff-drawn-parameters", "figure-ridge-drawn-cars50"])
def test_a_figure_is_the_same_two_files_again(name: str, tmp_path: Path) -> None:
    written = []
    for folder, records in (("first", RECORDS), ("second", RECORDS[::-1])):
        style.write_both(data_figures(records)[name](), tmp_path / folder / name)
        written.append({path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()})
    assert set(written[0]) == {f"{name}.png", f"{name}.pdf"}
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("experiment", "others"),
    [
        ("criteria", ()),
        ("scratch", ()),
        ("sweep", ()),
        ("iterative", ("pruning-lines-%s", *TRADEOFFS)),
        ("soft", ("pruning-lines-%s", *TRADEOFFS)),
        ("oneshot", ("ridge-%s-cars50", "pruning-lines-%s", *TRADEOFFS)),
    ],
)
def test_a_figure_without_records_is_left_out(experiment: str, others: tuple[str, ...]) -> None:
    only = data_figures(runs_of(experiment))
    drawn = (f"{name}-%s" for name, (_, experiments) in PANELS.items() if experiment in experiments)
    assert set(only) == {f"figure-{name % 'drawn'}" for name in ("4.2-gamma-%s", *others, *drawn)}
    assert all(draw() for draw in only.values())


def test_without_a_line_over_parameters_there_is_no_figure_of_them() -> None:
    one = made("oneshot", "drawn-cars50", 0, (0.2,))
    assert pruning_lines.lines([one]) == {}
    assert not any("pruning-lines" in name for name in data_figures([one]))


def test_a_line_runs_from_the_fewest_parameters_over_every_cut() -> None:
    found = pruning_lines.lines(CARS)
    for key, cuts in {(FLOW, "one-shot"): len(RATES), (FLOW, "soft"): len(RATES) - 1}.items():
        networks = [network for group in found[key] for network in group]
        assert len(found[key]) == cuts
        assert {network.record.seed for network in networks} == set(SEEDS)
        means = [np.mean([network.cost.params for network in group]) for group in found[key]]
        assert means == sorted(means)
        records = [record for record in CARS if any(network.record == record for network in networks)]
        assert sorted(one.tested.correct for one in networks) == sorted(r.steps[-1].final.correct for r in records)


def test_runs_by_another_rule_join_no_line_and_no_claim_of_the_thesis() -> None:
    ways = {"one-shot, mean": {"rule": "mean"}, "one-shot, exact": {"allocation": "exact"}}
    more = [*CARS, *(made("oneshot", "drawn-cars50", 0, (0.2,), **how) for how in ways.values())]
    figures = [tradeoff.draw({"drawn-cars50": records}, tradeoff.QUANTITIES["parameters"]) for records in (CARS, more)]
    for before, after in zip(*(figure.axes for figure in figures), strict=True):
        found, known = ({name: points.shape[1] for name, points, _ in curves(ax)} for ax in (after, before))
        assert {name for name in found if name[0] != "_"} == {name for name in known if name[0] != "_"} | set(ways)
        assert [found[name] for name in ("one-shot", *ways)] == [len(RATES), 1, 1]
    assert [network.method for record in more[len(CARS) :] for network in networks(record)] == list(ways)
    assert claims(more, []) == claims(CARS, [])


def test_no_record_leaves_the_drawings() -> None:
    assert data_figures([]) == {}
    assert "figure-1.1-image-processing" in figures(Measured())


def test_the_demo_is_a_figure_of_its_own_and_no_panel() -> None:
    demo = made("oneshot", "drawn-cars", 0, (0.4,))
    assert set(data_figures([*RECORDS, demo])) == {*data_figures(RECORDS), "gamma-drawn-cars"}
    assert list(sets.by_kind([*RECORDS, demo])["drawn"]) == sorted(LABELS)
    assert list(sets.by_kind([demo])["drawn"]) == ["drawn-cars"]
    assert problems(gamma.draw(demo)) == []


@pytest.mark.parametrize("heavier", [False, True])
def test_the_tradeoff_of_one_shot_is_mean_and_deviation_over_seeds(heavier: bool) -> None:
    figure = tradeoff.draw({"drawn-cars50": CARS}, tradeoff.QUANTITIES["parameters"])
    flow = "one-shot, heavier last penalty" if heavier else "one-shot"
    runs = [runs_of("oneshot", prune=rate, last_sparsity=0.025 if heavier else None) for rate in RATES]
    x, x_sd = spread([[record.steps[0].cost.params / 1e6 for record in seeds] for seeds in runs])
    y, y_sd = spread([[record.steps[0].final.accuracy for record in seeds] for seeds in runs])
    near, whole = figure.axes
    points, bars = curve(whole, flow)
    assert np.allclose(points, [x, y])
    assert np.allclose(bars, [x_sd, y_sd])
    points, bars = curve(near, flow)
    assert np.allclose(points, [x, y])
    assert np.allclose(bars[1], np.where(y >= near.get_ylim()[0], y_sd, 0))  # no bar without its point


def test_every_step_of_iterative_pruning_is_a_point_but_only_the_last_was_timed() -> None:
    runs = [record for record in runs_of("iterative") if len(record.steps) > 1]
    accuracies = spread([[record.steps[i].final.accuracy for record in runs] for i in range(len(RATES))])[0]
    macs = spread([[record.steps[i].cost.macs / 1e6 for record in runs] for i in range(len(RATES))])[0]
    x, y = tradeoff.points([tuple(runs)], tradeoff.QUANTITIES["multiply-adds"])
    assert np.allclose([[value.mean for value in x], [value.mean for value in y]], [macs, accuracies])
    (ratio,), (accuracy,) = tradeoff.points([tuple(runs)], tradeoff.QUANTITIES["cpu-time"])
    ratios = [record.latency["pruned"].median_ms / record.latency["dense"].median_ms for record in runs]
    assert (ratio.mean, ratio.deviation) == pytest.approx((np.mean(ratios), np.std(ratios, ddof=1)))
    assert accuracy.mean == pytest.approx(accuracies[-1])


def test_the_control_of_a_flow_is_its_own() -> None:
    control = tradeoff.unpruned(runs_of("soft"), "control")
    assert control is not None
    by_seed = [[r.test["control"].accuracy for r in runs_of("soft") if r.seed == seed] for seed in SEEDS]
    assert (control.mean, control.n) == (pytest.approx(np.mean(by_seed)), 3)
    assert tradeoff.unpruned([replace(CARS[0], test={})], "control") is None


def test_widths_are_shares_of_each_layer() -> None:
    figure = widths.draw({"drawn-cars50": CARS})
    runs = runs_of("oneshot", prune=0.4, last_sparsity=0.025)
    shares = np.array([np.array(r.steps[0].spec.widths) / np.array(r.spec.widths) for r in runs])
    points, bars = curve(figure.axes[1], "40 % of all channels cut")
    assert np.allclose(points[1], shares.mean(axis=0))
    assert np.allclose(bars[1], shares.std(axis=0, ddof=1))


def test_zeroing_shows_both_sides_and_the_overlap() -> None:
    before, after, overlap = zeroing.draw({"drawn-cars50": CARS}).axes
    epochs = [[epoch.zeroing for epoch in record.training["soft"].epochs] for record in runs_of("soft", prune=0.4)]
    for ax, values in (
        (before, [[z.before.accuracy for z in seed if z] for seed in epochs]),
        (after, [[z.after.accuracy for z in seed if z] for seed in epochs]),
        (overlap, [[z.jaccard for z in seed if z and z.jaccard is not None] for seed in epochs]),
    ):
        points, bars = curve(ax, "40 % of all channels at zero")
        assert np.allclose(points[1], np.mean(values, axis=0))
        assert np.allclose(bars[1], np.std(values, axis=0, ddof=1))
    assert points[0].tolist() == [2, 3, 4, 5, 6]  # the first zeroing has none before it


def test_the_sweep_has_every_repair_and_the_share_at_zero() -> None:
    (ax,) = sweep.draw({"drawn-cars50": CARS}).axes
    runs = runs_of("sweep")
    for name, stage in sweep.STAGES.items():
        values = [[getattr(cut, stage).accuracy for cut in record.sweep] for record in runs]
        points, bars = curve(ax, name)
        assert np.allclose(points[1], np.mean(values, axis=0))
        assert np.allclose(bars[1], np.std(values, axis=0, ddof=1))
    upright = next(line for line in ax.lines if str(line.get_label()).startswith("share of γ"))
    scales = [np.concatenate([np.array(values) for values in record.scales.values()]) for record in runs]
    assert np.asarray(upright.get_xdata())[0] == pytest.approx(np.mean([(v < NEAR_ZERO).mean() for v in scales]))


def test_a_dot_is_a_seed() -> None:
    wanted = {
        f"60 % cut {text}": [r.steps[0].final.accuracy for r in runs]
        for criterion, text in comparisons.CRITERIA.items()
        if (runs := runs_of("criteria", criterion=criterion))
    } | {
        "60 % cut: fine-tuned": [r.steps[0].final.accuracy for r in runs_of("scratch")],
        "60 % cut: from scratch, as many epochs": [r.test["scratch-epochs"].accuracy for r in runs_of("scratch")],
        "60 % cut: from scratch, as much computing": [r.test["scratch-compute"].accuracy for r in runs_of("scratch")],
    }
    plotted = {}
    for ax in comparisons.draw({"drawn-cars50": CARS}).axes:
        names = [text.get_text() for text in ax.get_yticklabels()]
        dots = [line for line in ax.lines if line.get_marker() == "o"]
        plotted |= {names[int(np.asarray(dot.get_ydata())[0])]: np.asarray(dot.get_xdata()).tolist() for dot in dots}
    assert plotted == wanted


def test_what_has_no_label_is_shown_by_its_own_name_after_the_others() -> None:
    by_another = [replace(r, settings={**r.settings, "criterion": "another"}) for r in runs_of("criteria")[:1]]
    rows = comparisons.criteria([*by_another, *runs_of("criteria", criterion="random")])
    assert list(rows) == ["60 % cut at random", "60 % cut by another"]
    anew = [replace(r, test={**r.test, "scratch-twice": r.test["scratch-epochs"]}) for r in runs_of("scratch")]
    assert list(comparisons.scratch(anew))[-1] == "60 % cut: scratch-twice"
    anew = [replace(r, recipes={**r.recipes, **dict.fromkeys(r.test, RECIPE)}) for r in anew]
    assert "scratch-twice" in {row["network"] for row in scratch.table(anew, []).rows}


def test_a_panel_without_runs_says_so() -> None:
    figure = comparisons.draw({"drawn-cars50": CARS, "drawn-birds50": runs_of("criteria")})
    empty = [ax for ax in figure.axes if "not run" in [text.get_text() for text in ax.texts]]
    (ax,) = empty
    assert not ax.lines
    assert not len(ax.get_xticks())


def test_the_ridge_counts_what_is_at_zero() -> None:
    bars = [c for c in ridge.draw("drawn-cars50", CARS).axes[2].containers if isinstance(c, BarContainer)]
    for container, heavier in zip(bars, (False, True), strict=True):
        runs = sets.sparse_networks(CARS, heavier=heavier)
        assert len(runs) == len(SEEDS)
        wanted = np.mean(
            [[(np.array(v) < NEAR_ZERO).mean() for v in record.scales.values()] for record in runs], axis=0
        )
        assert np.allclose([bar.get_width() for bar in container], wanted)


def test_a_ridge_is_of_the_layers_that_have_scales() -> None:
    """Dense layers of a head and depthwise convolutions have none."""
    records = [replace(record, scales=dict(list(record.scales.items())[:-1])) for record in CARS]
    figure = ridge.draw("drawn-cars50", records)
    assert len(figure.axes[0].get_yticklabels()) == len(CARS[0].scales) - 1


@pytest.mark.parametrize(("settings", "drawn"), [({}, True), ({"criterion": "taylor"}, False)])
def test_the_threshold_is_drawn_where_the_cut_ranked_the_scales_that_are_shown(
    settings: dict[str, str], drawn: bool
) -> None:
    figure = gamma.draw(made("criteria" if settings else "oneshot", "drawn-cars50", 0, (0.4,), **settings))
    labels = [line.get_label() for ax in figure.axes for line in ax.lines]
    assert any(str(label).startswith("threshold") for label in labels) is drawn
    assert not gamma.ranked_by_scale(runs_of("soft")[0])
    for told in ({"allocation": "sensitivity"}, {"allocation": "exact"}, {"rule": "mean"}):
        assert not gamma.ranked_by_scale(made("oneshot", "drawn-cars50", 0, (0.4,), **told))
    assert gamma.ranked_by_scale(made("oneshot", "drawn-cars50", 0, (0.4,), rule="thesis"))
    assert not gamma.ranked_by_scale(made("compress", "drawn-cars50", 0, (0.4,), method="prune"))  # by |γ| ÷ mean


def test_the_legend_covers_no_bar_where_no_scale_is_near_zero() -> None:
    record = runs_of("oneshot")[0]
    scales = {layer: tuple(1 - i / 1000 for i in range(len(values))) for layer, values in record.scales.items()}
    figure = gamma.draw(replace(record, scales=scales))
    FigureCanvasAgg(figure).draw()
    for ax in figure.axes:
        if legend := ax.get_legend():
            box = legend.get_window_extent()
            assert not any(box.overlaps(bar.get_window_extent()) for bar in ax.patches if bar.get_height())


def test_bars_of_one_seed_are_the_standard_error_of_its_count() -> None:
    spread_of_one = panels.accuracy([Evaluation(400, 100)])
    assert (spread_of_one.mean, spread_of_one.n) == (0.25, 1)
    assert spread_of_one.deviation == pytest.approx(
        np.sqrt(400 * 0.25 * 0.75) / 400
    )  # of a binomial count, over the images
    several = panels.accuracy([Evaluation(400, 100), Evaluation(400, 140)])
    assert several.deviation == pytest.approx(np.std([0.25, 0.35], ddof=1))
    assert "one seed" in panels.bars({1, 3})
    assert "one seed" not in panels.bars({3})


def test_the_sweep_is_set_beside_runs_of_its_own_network_only() -> None:
    (swept,) = (record for record in runs_of("sweep") if record.seed == 0)
    network = {"sparse": swept.training["sparse"]}
    same, other = (
        replace(record, training={**record.training, **network} if i else record.training)
        for i, record in enumerate(runs_of("oneshot", prune=0.4, last_sparsity=None)[:2])
    )
    assert sweep.same_network([swept, same, other]) == [(other,)]


def test_shown_scales_are_those_that_one_shot_pruning_cuts() -> None:
    records = [record for record in CARS if record.seed == 0]
    (shown,) = sets.sparse_networks([r for r in records if r.experiment in ("criteria", "oneshot")])
    assert (shown.experiment, shown.settings["prune"]) == ("oneshot", min(RATES))
    (instead,) = sets.sparse_networks([record for record in records if record.experiment == "criteria"])
    assert instead.experiment == "criteria"


def test_the_black_bar_is_what_is_at_zero_in_all_seeds_together() -> None:
    runs = sets.sparse_networks(CARS)
    left, right = gamma.draw_sets({"drawn-cars50": runs}).axes
    at_zero = sum(value < NEAR_ZERO for record in runs for values in record.scales.values() for value in values)
    black = next(patch for patch in left.patches if patch.get_facecolor()[:3] == (0, 0, 0))
    assert black.get_height() == at_zero
    assert sum(patch.get_height() for patch in left.patches) == 3 * runs[0].spec.channels
    assert len(right.lines) == len(SEEDS)


@pytest.mark.parametrize("largest", [0.4, 2.5])
def test_a_scale_far_from_all_others_is_told_and_does_not_stretch_the_axis(largest: float) -> None:
    runs = sets.sparse_networks(CARS)
    scales = {layer: tuple(min(value, 0.4) for value in values) for layer, values in runs[0].scales.items()}
    scales["conv5_3"] = (largest, *scales["conv5_3"][1:])
    left, _ = gamma.draw_sets({"drawn-cars50": [replace(runs[0], scales=scales)]}).axes
    inside = sum(patch.get_height() for patch in left.patches)
    notes = [text.get_text() for text in left.texts if text.get_text()]
    assert left.get_xlim()[1] < 0.6
    assert (runs[0].spec.channels - inside, notes) == ((0, []) if largest == 0.4 else (1, ["1 larger, up to 2.50"]))


def test_looks_differ_without_colour() -> None:
    assert len({look.marker for look in panels.LOOKS}) == len({look.line for look in panels.LOOKS}) == len(panels.LOOKS)
    twelve = [panels.look(i) for i in range(12)]
    assert len({look.marker for look in twelve}) == 12
    assert len({(look.colour, look.line) for look in twelve}) == 12


def test_a_record_without_scales_has_no_gamma_figure() -> None:
    record = replace(made("criteria", "drawn-cars50", 0, (0.4,), criterion="filter-norm"), scales={})
    with pytest.raises(ValueError, match="criteria on drawn-cars50, seed 0, has no BN scales to draw"):
        gamma.draw(record)


def test_networks_of_another_width_or_side_are_not_pooled() -> None:
    wide = [made("oneshot", "drawn-cars50", seed, (0.4,), width=0.5) for seed in SEEDS]
    finer = [replace(run, data=replace(run.data, side=2 * run.data.side)) for run in runs_of("oneshot")[:3]]
    found = sets.by_kind([*RECORDS, *wide, *finer])["drawn"]
    assert [len(runs) for label, runs in found.items() if label not in SHOWN] == [3, 3]
    assert {label: found[label] for label in SHOWN} == SHOWN
    new = [label for label in found if label not in SHOWN]
    assert all(label.startswith("drawn-cars50, VGG-16 BCNN of ") for label in new)
    assert sorted(label.split(", ")[-1] for label in new) == ["128 px", "64 px"]
    drawn = data_figures([*CARS, *wide, *finer])
    assert problems(drawn["figure-tradeoff-drawn-parameters"]()) == []
