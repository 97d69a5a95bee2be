"""Costs of grids: the formula finds what was put in, bills add up, and the command says what it measured."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import scaling
from experiments.chapter import ChapterSettings, chapter
from experiments.grid_cost import GRIDS, Machine, bill, gpus
from experiments.scaling import Network, Settings
from thesis_figures import style
from thesis_figures.scaling import Formula, fitted, read
from thesis_figures.scaling import draw as draw_points

EACH = Machine("one", 1, False, Formula(1.0, 0.0), Formula(0.0, 0.0))  # a second a training image, whatever the network


@given(st.floats(0, 1), st.floats(1e-13, 1e-9), st.lists(st.floats(1e6, 1e11), min_size=2, max_size=9, unique=True))
def test_the_formula_is_found_where_there_is_one(an_image: float, a_mac: float, macs: list[float]) -> None:
    exact = Formula(an_image, a_mac)
    found = fitted(macs, [exact(value) for value in macs])
    assert [found(value) for value in macs] == pytest.approx([exact(value) for value in macs], rel=1e-6)


def test_a_bill_is_the_sum_of_its_phases() -> None:
    infos = GRIDS["drawn sets"][2:]
    phases = {phase for run in chapter(ChapterSettings(dataset=infos[0].name), infos[0], 0) for phase in run.phases}
    found = bill("cars", infos, 1, EACH)
    assert found.epochs == sum(phase.recipe.epochs for phase in phases)
    assert found.phases == len(phases)
    assert found.seconds == pytest.approx(2000 * found.epochs)
    # Dense, sparse, one-shot at 20 % and its control; one-shot at 60 %; then scratch twice.
    assert found.chain == 2000 * (12 + 8 + 2 + 2 + 2 + 2 * (12 + 8 + 2))


def test_bills_grow_with_seeds_and_shrink_with_machines() -> None:
    infos = GRIDS["subsets"]
    one, eight = (bill("subsets", infos, 2, gpus(count, 50, 15)) for count in (1, 8))
    assert one.seconds == pytest.approx(2 * bill("subsets", infos, 1, gpus(1, 50, 15)).seconds)
    assert max(one.seconds / 8, one.chain) <= eight.seconds <= one.seconds / 8 + one.chain
    assert one.chain == eight.chain


def test_a_gpu_is_charged_by_its_rate_and_its_steps() -> None:
    info = GRIDS["drawn sets"][0]
    free, slow, twice = (bill("", [info], 1, gpus(1, *told)).seconds for told in ((50, 0), (25, 0), (50, 1)))
    assert slow == pytest.approx(2 * free)
    assert twice > free


def test_points_are_measured_written_and_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = (Network(0.03, 16, 2), Network(0.03, 32, 2), Network(0.06, 32, 2, held_out=True))
    monkeypatch.setattr(scaling, "NETWORKS", networks)
    monkeypatch.setattr(scaling, "SECONDS", 0.01)
    monkeypatch.setattr(scaling, "GRIDS", {"one set": GRIDS["drawn sets"][:1]})
    scaling.main(Settings(out=tmp_path / "first", seeds=1))
    path = tmp_path / "first" / "scaling.json"
    found = read(path)
    assert [(point.width, point.side, point.held_out) for point in found.points] == [
        (network.width, network.side, network.held_out) for network in networks
    ]
    assert all(min(point.training + point.evaluating) > 0 for point in found.points)
    assert [one.machine for one in found.bills] == ["this machine", "1 GPU", "8 GPUs"]
    text = (tmp_path / "first" / "scaling.md").read_text()
    assert text.count("extrapolated: GPU as assumed") == 2
    assert text in capsys.readouterr().out
    scaling.main(Settings(points=path, out=tmp_path / "second", seeds=1))
    assert read(tmp_path / "second" / "scaling.json") == found
    assert (tmp_path / "second" / "scaling.md").read_text() == text
    scaling.main(Settings(points=path, out=tmp_path / "faster", seeds=1, gpu_tflops=100, gpu_step_ms=0))
    assert read(tmp_path / "faster" / "scaling.json") != found
    style.write(draw_points(path), tmp_path / "figure.png")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"seeds": 0}, "--seeds is 0: take 1 or more"),
        ({"gpu_tflops": 0.0}, "--gpu-tflops is 0: take more than 0"),
        ({"gpu_step_ms": -1.0}, "--gpu-step-ms is -1: take 0 or more"),
    ],
)
def test_settings_that_cannot_work_are_refused(told: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        replace(Settings(), **told).check()


def test_a_file_without_points_is_named(tmp_path: Path) -> None:
    (tmp_path / "scaling.json").write_text("{}")
    with pytest.raises(ValueError, match=r"scaling\.json: no points of python -m experiments\.scaling"):
        read(tmp_path / "scaling.json")
