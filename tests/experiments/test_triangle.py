"""The two classifiers: the same logits to rounding, about half the weights, and timed in pairs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bcnn_prune.spec import ModelSpec
from experiments import cli, triangle
from experiments.triangle import Settings, Triangle
from tests.experiments.timing import opened_here

SPEC = ModelSpec(11, (4,) * 8, classes=7)


def with_last(channels: int) -> ModelSpec:
    return replace(SPEC, widths=(*SPEC.widths[:-1], channels))


@given(st.integers(1, 40), st.integers(1, 3))
@settings(max_examples=20)
def test_both_classifiers_give_the_same_logits(channels: int, images: int) -> None:
    found = triangle.agreement(with_last(channels), images)
    assert found.in_fp32 < 1e-6
    assert found.in_fp64 < 1e-13
    assert found.square_params_per_class == channels**2
    assert found.triangle_params_per_class == (channels**2 + channels) / 2


def test_at_the_thesis_width_the_triangle_is_as_exact_as_the_square() -> None:
    """fp32 sums of 262,144 terms are themselves not good to 1e-6, taken over the square or over the triangle."""
    found = triangle.agreement(with_last(512))
    assert found.in_fp64 < 1e-12
    assert found.triangle_rounding < 2 * found.square_rounding
    assert found.in_fp32 < 1e-5


def test_a_difference_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    both = triangle.both

    def wrong(*told: object) -> dict[str, torch.nn.Module]:
        made = both(*told)  # type: ignore[arg-type]
        with torch.no_grad():
            made["triangle"].classifier.weight *= 1.01
        return made

    monkeypatch.setattr(triangle, "both", wrong)
    found = triangle.agreement(SPEC)
    assert min(found.in_fp32, found.in_fp64, found.triangle_rounding) > 1e-4 > found.square_rounding


def test_the_whole_networks_differ_in_their_heads_only() -> None:
    made = triangle.both(SPEC)
    assert made["square"].trunk is made["triangle"].trunk
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(made["square"](images), made["triangle"](images))


def command(*arguments: str) -> None:
    cli.run(triangle.main, Settings, triangle.__doc__, arguments)


def test_the_command_writes_a_record_and_the_same_as_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(triangle, "timed_apart", opened_here)
    monkeypatch.setattr(triangle, "SIDE", 32)
    sizes = ("--channels", "8", "--batches", "1", "2", "--repeats", "2", "--rounds", "3", "--threads", "1")
    command(*sizes, "--out", str(tmp_path))
    found = triangle.JSON.structure(json.loads((tmp_path / "triangle.json").read_text()), Triangle)
    assert [(pair.part, pair.batch) for pair in found.pairs] == [("head", 1), ("network", 1), ("head", 2)]
    for pair in found.pairs:
        assert len(pair.speed_ups) == len(pair.square) == 2
        assert all(latency.rounds == 3 and latency.batch == pair.batch for latency in (*pair.square, *pair.triangle))
        assert pair.speed_ups[1] == pair.square[1].median_ms / pair.triangle[1].median_ms
    assert found.agreements[0].triangle_params_per_class == 36
    text = (tmp_path / "triangle.md").read_text()
    assert text.count("| head ") == 2
    assert "Forward time" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"), [(["--rounds", "0"], "--rounds is 0"), (["--batches", "1", "0"], "--batches is 0")]
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command(*arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{says}: take 1 or more" in line
