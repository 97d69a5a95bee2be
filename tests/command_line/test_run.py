"""Ends of a command: one line and a code for bad input, silence when nobody reads on."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bcnn_prune.command_line import check
from bcnn_prune.command_line.run import run

ROOT = Path(__file__).parents[2]
TALKS = """
import sys
from dataclasses import dataclass
from bcnn_prune.command_line.run import run
from experiments.run import cli

@dataclass(frozen=True)
class Settings:
    lines: int = 100_000

def main(settings):
    for line in range(settings.lines):
        print(line, "and so on, and so on")

{run}(main, Settings, None)
"""


@dataclass(frozen=True)
class Settings:
    number: int = 0


def raising(error: BaseException):  # type: ignore[no-untyped-def]
    def main(_: Settings) -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("--number is 0"), 2, "error: --number is 0"),
        (ValueError("two\n  lines"), 2, "error: two lines"),
        (FileNotFoundError("f does not exist"), 2, "error: f does not exist"),
        (BrokenPipeError("a worker is gone"), 2, "error: a worker is gone"),
        (MemoryError(), 2, "error: memory is full"),
        (KeyboardInterrupt(), 130, "stopped: nothing was written"),
    ],
)
def test_an_error_is_one_line_and_a_code(
    error: BaseException, code: int, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        run(raising(error), Settings, None, [])
    assert left.value.code == code
    assert capfd.readouterr().err == f"{line}\n"


@pytest.mark.parametrize("what", ["run", "cli.run"])
def test_a_reader_that_leaves_early_ends_it_without_a_word(what: str) -> None:
    command = f"{sys.executable} -c '{TALKS.format(run=what)}' | head -1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (141, "0 and so on, and so on\n", "")


def test_help_whose_reader_leaves_early_ends_without_a_word() -> None:
    command = f"{sys.executable} -m experiments.oneshot --help | true"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.stderr == ""


def test_limits_name_the_option_and_the_value() -> None:
    check.at_least(1, batch=None, rates=(), dense_epochs=1)
    check.shares(prune=0, rates=(0.2, 0.999))
    check.one_of(("mean", "rms"), rule="rms", rules=("mean", "rms"))
    check.some("0.2 0.4", rates=(0.1,))
    for refused, message in (
        (lambda: check.at_least(1, dense_epochs=0), "--dense-epochs is 0: take 1 or more"),
        (lambda: check.at_least(1, repeats=10**20), "--repeats is 1e\\+20: take at most 4,294,967,295"),
        (lambda: check.at_least(0, sparsity=float("nan")), "--sparsity is nan: take 0 or more"),
        (lambda: check.more_than(0, gigabytes=float("inf")), "--gigabytes is inf: take more than 0"),
        (lambda: check.shares(rates=(0.2, 1.0)), "--rates is 1: take 0 or more and less than 1"),
        (lambda: check.one_of(("mean", "rms"), rule="best"), "--rule is 'best': take mean, rms"),
        (lambda: check.one_of(("mean", "rms"), rules=("rms", "best")), "--rules is 'best': take mean, rms"),
        (lambda: check.some("0.2 0.4", rates=()), "--rates is empty: give some values, such as --rates 0.2 0.4"),
    ):
        with pytest.raises(ValueError, match=message):
            refused()


@pytest.mark.parametrize("runner", ["run", "cli.run"])
def test_a_file_name_that_is_no_text_is_written_with_its_bytes(runner: str) -> None:
    """Linux has such names; a strict output, as most locales have, would lose all that was to be printed."""
    name = 'b"n\\xff.png".decode("utf-8", "surrogateescape")'
    code = TALKS.format(run=runner).replace('line, "and so on, and so on"', name)
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, "--lines", "1"]
    ended = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert ended.stdout == b"n\\udcff.png\n"
