"""Verdicts on the thesis' findings: by an interval, and in agreement with what the table of findings says."""

from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import t, ttest_1samp

from bcnn_prune.records import Evaluation, History, RunRecord
from tests.helpers.random_records import made
from thesis_figures.analysis import reference
from thesis_figures.analysis.claims import KINDS, answer, answers, claims, usual

THESIS = reference.read(Path(__file__).parents[2] / "results" / "reference" / "thesis_results.csv")
PAIRS = [(Evaluation(400, a), Evaluation(400, b)) for a, b in ((380, 370), (384, 371), (377, 369))]


@pytest.mark.parametrize(("above", "verdict"), [(0.5, "yes"), (2, "unsure"), (8, "no")])
def test_a_verdict_needs_the_whole_interval(above: float, verdict: str) -> None:
    changes = [100 * (network.correct - base.correct) / 400 for network, base in PAIRS]
    wanted = ttest_1samp(changes, 0).confidence_interval(0.95)
    found = answer("a set", PAIRS, above)
    assert found.interval == pytest.approx((wanted.low, wanted.high))
    assert (found.n, found.verdict) == (3, verdict)


def test_of_one_run_the_counts_give_the_interval() -> None:
    found = answer("a set", [(Evaluation(100, 50), Evaluation(100, 50))], 0)
    assert found.interval == pytest.approx((-100 * 1.96 * 0.5**0.5 / 10, 100 * 1.96 * 0.5**0.5 / 10), rel=1e-3)


def test_sets_of_a_kind_are_put_together_where_there_are_several() -> None:
    labels = ("drawn-cars50", "drawn-birds50", "cars50")
    records = [
        made("oneshot", label, seed, (0.2,)) for label in labels for seed in range(3 if label == "cars50" else 2)
    ]
    found = {one.about: one for one in answers([(run, (run.steps[0].final, run.test["dense"])) for run in records], 0)}
    assert {about: one.n for about, one in found.items()} == {
        "drawn-cars50": 2,
        "drawn-birds50": 2,
        "cars50": 3,
        KINDS["drawn"]: 2,
    }
    means = [found[label].change for label in labels[:2]]
    wanted = ttest_1samp(means, 0).confidence_interval(0.95)
    assert found[KINDS["drawn"]].interval == pytest.approx((wanted.low, wanted.high))


def test_sets_whose_means_are_alike_by_chance_do_not_make_a_finding_certain() -> None:
    points = ((0.56, 0.72, -0.16), (-0.40, 0.24, 0.72), (-0.48, 1.36, 0.24))  # means 0.373, 0.187 and 0.373
    labels = ("drawn-aircraft50", "drawn-birds50", "drawn-cars50")
    measured = [
        (made("oneshot", label, seed, (0.2,)), (Evaluation(1250, 1200 + round(12.5 * change)), Evaluation(1250, 1200)))
        for label, changes in zip(labels, points, strict=True)
        for seed, change in enumerate(changes)
    ]
    pooled = answers(measured, 0)[-1]
    assert (pooled.about, pooled.n, pooled.verdict) == (KINDS["drawn"], 3, "unsure")
    residuals = [change - sum(changes) / 3 for changes in points for change in changes]
    error = (sum(residual**2 for residual in residuals) / 6 / 9) ** 0.5  # as many runs on each set: pooled over nine
    half = t.ppf(0.975, 6) * error
    assert pooled.interval == pytest.approx((pooled.change - half, pooled.change + half))


def test_runs_of_a_seed_by_other_settings_are_not_taken_for_other_seeds() -> None:
    runs = [made("oneshot", "drawn-cars50", seed, (0.2,)) for seed in (0, 1, 2)]
    others = [made("oneshot", "drawn-cars50", seed, (0.2,), min_channels=8) for seed in (0, 1)]
    more = made("oneshot", "drawn-birds50", 0, (0.2,))
    assert usual([*others, *runs, more]) == [*runs, more]
    assert [one.n for one in claims([*others, *runs], THESIS)[1].ours] == [3]


def test_the_first_finding_is_refused_where_too_little_goes() -> None:
    runs = [made("oneshot", "drawn-cars50", seed, (0.2,), last_sparsity=λ) for seed in (0, 1, 2) for λ in (None, 0.025)]
    records = [replace(run, training={**run.training, "dense": _tuning(run)}) for run in runs]  # equal on val
    first, *others = claims(records, THESIS)
    assert [(one.verdict, one.note.endswith("removed")) for one in first.ours] == [("no", True)]
    assert all(len(claim.ours) == 1 for claim in others)
    published = {one.about: (round(one.change, 2), one.note) for one in first.published}
    assert published["aircraft"] == (1.26, "91.2% removed")  # 85.75 and 84.49 %, 3,612,260 of 40,937,636 parameters


def _tuning(run: RunRecord) -> History:
    history = run.steps[-1].fine_tuning
    assert history
    return history
