"""The page in a browser: its numbers are those of surgery, wherever the slider is, and it loads nothing but itself."""

import re
import shutil
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from playwright.sync_api import Browser, Page, sync_playwright

from bcnn_prune.command_line.parse import parse
from bcnn_prune.evaluation.cost import file_bytes, total_cost
from bcnn_prune.pruning import ranking
from bcnn_prune.pruning.ranking import drop_counts
from bcnn_prune.records import ConfusionMatrix, RunRecord, read_record
from experiments import criteria, equal_cost, iterative, oneshot, scratch, sensitivity, soft, sweep
from thesis_figures.analysis import runs
from thesis_figures.page import FILE, document
from thesis_figures.page.run import RunView, anchor, command

RESULTS = Path(__file__).parents[2] / "results"
SWEPT = read_record(RESULTS / "sweep" / "cars50" / "weightsnone-rulethesis-seed0.json")
PRUNED = read_record(RESULTS / "oneshot" / "cars50" / "weightsnone-lastsparsity0.02-rulethesis-prune0.4-seed0.json")
SLOW_MS = 180_000
"""To open a page of a megabyte and more, on a machine that does other work."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLOWS = {module.__name__.split(".")[-1]: module for module in (criteria, iterative, oneshot, scratch, soft, sweep)}


def with_mistakes(record: RunRecord) -> RunRecord:
    """The run with a confusion matrix, and class names that are markup where they are not escaped."""
    (step,) = record.steps
    tested = step.final
    matrix = ConfusionMatrix((0, 0), (0, 1), (tested.correct, tested.images - tested.correct), tested.images)
    names = ("<b>coupé</b>", "</script>saloon", *record.data.class_names[2:])
    data, steps = replace(record.data, class_names=names), (replace(step, confusion=matrix),)
    return replace(record, experiment="soft", data=data, steps=steps, scales={})


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no browser here: apt-get install chromium")
    with sync_playwright() as playwright:
        yield (opened := playwright.chromium.launch(executable_path=path, args=["--no-sandbox"]))
        opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of three runs."""
    file = tmp_path_factory.mktemp("page") / FILE
    views = [RunView(record) for record in (SWEPT, PRUNED, with_mistakes(PRUNED))]
    file.write_text(document.render("Title", "About.", "commit", views), "utf-8")
    return file


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Page]:
    """The page as it opens; it must have asked for nothing and complained of nothing by the end."""
    opened = browser.new_page(viewport={"width": 390, "height": 800})
    told: list[str] = []
    opened.on("console", lambda message: told.append(message.text))
    opened.on("pageerror", lambda error: told.append(str(error)))
    opened.on("request", lambda request: told.append(request.url))
    opened.goto(file.as_uri(), timeout=SLOW_MS)
    opened.wait_for_selector("#tradeoff-chart svg")
    yield opened
    assert told == [file.as_uri()]
    opened.close()


def numbers(page: Page) -> dict[str, str]:
    """The numbers beside the slider, by their label."""
    labels, values = (
        page.locator("#gamma-chart g.mark-text").nth(i).locator("text").all_text_contents() for i in (0, 1)
    )
    return dict(zip(labels, values, strict=True))


def expected(record: RunRecord, percent: int) -> dict[str, str]:
    """The same by selection and surgery."""
    scores = {layer: torch.tensor(values) for layer, values in record.scales.items()}
    (drop,) = drop_counts(record.spec.channels, percent / 100)
    plan = ranking.keep_highest(scores, drop, int(record.settings["floor"] or 0))
    left = plan.narrow(record.spec)
    cost = total_cost(left, record.data.side)
    return {
        "cut of all channels": f"{percent} %",
        "threshold of |γ|": f"{ranking.threshold(scores, plan):#.4g}",
        "channels left": f"{left.channels:,} of {record.spec.channels:,}",
        "parameters": f"{cost.params:,} ({cost.params / record.cost.params:.1%})",
        "multiply-adds": f"{cost.macs:,} ({cost.macs / record.cost.macs:.1%})",
        "bytes in fp32": f"{file_bytes(left):,}",
    }


def test_the_numbers_follow_the_slider_and_the_choice(page: Page) -> None:
    page.locator("select[name=penalty]").select_option("plain")
    slider = page.locator("input[name=cut]")
    slider.fill("40")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    shown = numbers(page)
    assert expected(SWEPT, 43).items() <= shown.items()
    step = SWEPT.sweep[3]  # of 40 %, the nearest
    assert shown["right after the cut"] == f"{step.rebuilt.accuracy:.2%} at 40 %"
    slider.fill("77")
    assert expected(SWEPT, 77).items() <= numbers(page).items()
    page.locator("select[name=penalty]").select_option("heavier")
    assert expected(PRUNED, 77).items() <= numbers(page).items()
    assert numbers(page)["fine-tuned"] == f"{PRUNED.steps[0].final.accuracy:.2%} at 40 %"


def test_a_click_on_a_point_shows_its_run(page: Page) -> None:
    point = page.locator("#tradeoff-chart path[opacity='0.45']").first
    point.scroll_into_view_if_needed()
    point.click(force=True)
    page.wait_for_selector("article:visible")
    clicked = next(run for run in (PRUNED, with_mistakes(PRUNED)) if page.url.endswith(f"#{anchor(run)}"))
    (shown,) = page.locator("article:visible").all()
    assert command(clicked) in shown.inner_text()
    titles = page.locator("#tradeoff-chart .role-title-text").all_text_contents()
    assert f"val accuracy, {anchor(clicked)}" in titles
    drawn = page.locator("#tradeoff-chart path[aria-label*='val accuracy: ']").evaluate_all(
        "points => points.map(point => point.getAttribute('aria-label'))"
    )
    phases = {**clicked.training, "fine-tuning 1": clicked.steps[0].fine_tuning}
    trained = [(phase, epoch.val.accuracy) for phase, history in phases.items() if history for epoch in history.epochs]
    told = [f"{number}; val accuracy: {value:.0%}; phase: {phase}" for number, (phase, value) in enumerate(trained, 1)]
    assert {label.split("behind the other: ")[1] for label in drawn} == set(told)  # lines are labelled, too


def test_mistakes_are_text(page: Page) -> None:
    page.evaluate(f"location.hash = '{anchor(with_mistakes(PRUNED))}'")
    (run,) = page.locator("article:visible").all()
    assert "<b>coupé</b> → </script>saloon" in run.inner_text()


def test_what_is_drawn_can_be_downloaded(file: Path) -> None:
    """Of the one network that has a sweep: every channel's |γ|, and the cuts of the slider."""
    links = dict(
        re.findall(r'download="(\w+)\.csv\.gz" href="data:application/gzip;base64,([^"]+)"', file.read_text("utf-8"))
    )
    assert set(links) == {"gamma", "cuts", "runs", "means"}
    gamma, cuts = (pd.read_csv(BytesIO(b64decode(links[name])), compression="gzip") for name in ("gamma", "cuts"))
    scales = np.concatenate([np.asarray(values) for values in SWEPT.scales.values()])
    np.testing.assert_allclose(gamma.iloc[:, 2], scales, rtol=1e-3)
    assert (cuts["cut_percent"].iloc[0], cuts["params"].iloc[0]) == (0, SWEPT.cost.params)


def test_every_choice_shows_something(page: Page) -> None:
    """What has nothing to show would complain of it, and the page must not."""
    for i in range(page.locator("select").count()):
        for option in page.locator("select").nth(i).locator("option").all_text_contents():
            page.locator("select").nth(i).select_option(option)
    for i in range(page.locator("input[type=range]").count()):
        for end in ("min", "max"):
            slider = page.locator("input[type=range]").nth(i)
            slider.fill(slider.get_attribute(end) or "")


def test_nothing_is_wider_than_a_phone(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_page_of_the_results_is_that_of_today_s_records() -> None:
    text = (RESULTS / FILE).read_text("utf-8")
    assert len(text.encode()) < 6e6
    made_of = [*runs.paths(RESULTS), RESULTS / "reference" / "thesis_results.csv"]
    assert document.digest(made_of) in text, "make it again: python -m thesis_figures page"
    links = re.findall(r'href="([^"#:]+\.json)"', text)
    assert {RESULTS / link for link in links} == set(runs.paths(RESULTS))


@pytest.mark.parametrize("name", FLOWS)
def test_the_command_of_a_run_gives_its_settings(name: str) -> None:
    record = read_record(sorted((RESULTS / name / "aircraft20").glob("*.json"))[-1])
    words = command(record).split()
    assert words[:3] == ["python", "-m", f"experiments.{name}"]
    assert parse(FLOWS[name].Settings, words[3:]).plain().items() >= record.settings.items()


def test_a_run_by_milliseconds_is_made_again_by_its_command() -> None:
    told = {**equal_cost.Settings(dataset="birds50", keep_ms=(0.75, 0.6)).plain(), "keep_macs": ""}
    words = command(replace(PRUNED, experiment="equal_cost", settings=told)).split()
    assert parse(equal_cost.Settings, words[3:]).plain() == told


@pytest.mark.parametrize("module", [equal_cost, sensitivity])
def test_a_setting_with_several_values_is_written_out(module: ModuleType) -> None:
    told = module.Settings(dataset="birds50").plain()
    words = command(replace(PRUNED, experiment=module.__name__.rpartition(".")[2], settings=told)).split()
    assert parse(module.Settings, words[3:]).plain() == told
