"""Errors of a command line: one line, with the option, the way out and the command that helps."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro

from bcnn_prune.command_line.parse import Share, parse
from experiments import oneshot, sweep, thesis

HELP = r" \(python -m tests\.command_line\.test_parse --help\)$"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of every type that the commands have."""

    model: tyro.conf.Positional[Path]
    prune: Share | None = None
    rates: tuple[Share, ...] = (0.2,)
    pair: tuple[int, int] = (1, 2)
    weights: str | None = None
    width: float = 1.0
    last_layer: int = 0
    kind: Literal["one", "two", "three"] = "one"
    control: bool = True
    precision: Annotated[Literal["fp32", "bf16"], tyro.conf.arg(aliases=("--trunk",))] = "fp32"
    min_channels: Annotated[int, tyro.conf.arg(aliases=("--floor",))] = 4


def given(*arguments: str) -> Settings:
    return parse(Settings, ["m", *arguments])


@pytest.mark.parametrize(
    ("text", "value"), [("0.4", 0.4), ("40%", 0.4), ("12.5%", 0.125), ("0%", 0.0), ("1e-1", 0.1), (" 40% ", 0.4)]
)
def test_a_share_may_be_given_in_percent(text: str, value: float) -> None:
    assert given("--prune", text).prune == given(f"--prune={text}").prune == pytest.approx(value, abs=1e-12)
    assert given("--rates", text, "0.8").rates == pytest.approx((value, 0.8))


def test_every_share_of_the_flows_takes_percent() -> None:
    assert parse(oneshot.Settings, ["--dataset", "cars", "--prune", "40%"]).prune == 0.4
    assert parse(sweep.Settings, ["--dataset", "cars", "--rates", "20%", "0.4"]).rates == (0.2, 0.4)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--prune", "0,4"], "--prune is '0,4': take a share such as 0.4 or 40%, with a point"),
        (["--width", "0,4"], "--width is '0,4': take a number such as 0.4, with a point"),
        (["--width", "40%"], "--width is '40%': take a number such as 0.4"),
        (["--rates", "0.2", "x"], "--rates is '0.2 x': take shares such as 0.2 0.4 or 20% 40%"),
        (["--last-layer", "0,4"], "--last-layer is '0,4': take a whole number"),
        (["--last_layer=1.5"], "--last-layer is '1.5': take a whole number"),
        (["--pair", "1"], "--pair needs 2 whole numbers"),
        (["--pair", "1", "b"], "--pair is '1 b': take 2 whole numbers"),
        (["--kind", "four"], "--kind is 'four': take one, two or three"),
        (["--prune"], "--prune needs a share such as 0.4 or 40%"),
        (["--weights"], "--weights needs a value"),
        (["--weights", ""], "--weights is empty: give a value, or leave it out"),
        (["--weights="], "--weights is empty: give a value, or leave it out"),
        (["--rates", "0.2", ""], "an argument is empty: give a value, or leave it out"),
        (["--weight", "none"], "there is no option --weight: did you mean --weights?"),
        (["--last-layers=3"], "there is no option --last-layers: did you mean --last-layer?"),
        (["--no-controls"], "there is no option --no-controls: did you mean --no-control?"),
        (["--zzzzzz", "1"], "there is no option --zzzzzz"),
        (["--floor", "x"], "--min-channels is 'x': take a whole number"),
        (["--floor"], "--min-channels needs a whole number"),
        (["--trunk", "fp8"], "--precision is 'fp8': take fp32 or bf16"),
        (["--flor", "3", "--trunk", "bf16"], "there is no option --flor: did you mean --floor?"),
        (["-x"], "there is no option -x"),
        (["other"], "'other' belongs to no option"),
        (["--control", "maybe"], "'maybe' belongs to no option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_fit_is_one_line_that_names_the_option(arguments: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=HELP) as refused:
        given(*arguments)
    line = str(refused.value)
    assert line.rsplit(" (", 1)[0] == problem
    assert "\n" not in line


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match=rf"^the argument 'model' is missing{HELP}"):
        parse(Settings, [])
    with pytest.raises(ValueError, match=rf"^there is no option --model{HELP}"):
        parse(Settings, ["--model", "m"])
    with pytest.raises(ValueError, match=r"^--dataset is missing \(python -m experiments\.oneshot --help\)$"):
        parse(oneshot.Settings, ["--prune", "0.4"])


def test_none_is_a_value_and_not_an_option_left_out() -> None:
    assert given("--weights", "None").weights == "None"
    with pytest.raises(ValueError, match="--prune is 'None': take a share"):
        given("--prune", "None")


@pytest.mark.parametrize("module", ["experiments.oneshot", "data_prep", "thesis_figures"])
def test_the_command_that_helps_is_the_one_that_was_given(module: str) -> None:
    command = [sys.executable, "-m", module, "--nonsense"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == f"error: there is no option --nonsense (python -m {module} --help)\n"


def test_former_names_of_options_still_work() -> None:
    assert given("--trunk", "bf16", "--floor=2") == given("--precision", "bf16", "--min-channels", "2")
    flow = ["--dataset", "cars", "--prune", "0.4"]
    former = parse(oneshot.Settings, [*flow, "--trunk", "fp32", "--images", "stream", "--floor", "2"])
    assert former == parse(
        oneshot.Settings, [*flow, "--precision", "fp32", "--data-cache", "stream", "--min-channels", "2"]
    )
    former_thesis, current = parse(thesis.Settings, ["--on", "here"]), parse(thesis.Settings, ["--backend", "local"])
    assert former_thesis.takes_ray() == current.takes_ray() is False
