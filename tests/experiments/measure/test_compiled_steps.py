"""Compiled steps beside eager ones: all begin with the same weights and take the same images."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.measure import compiled_steps
from experiments.measure.compiled_steps import Settings
from experiments.run import cli

TINY = ("--width", "0.05", "--side", "16", "--batch", "4", "--classes", "3", "--steps", "3", "--rounds", "2")


def measured(*arguments: str) -> None:
    """The command, by torch's eager backend: Inductor takes a minute."""
    import torch

    from experiments.measure import compiled_steps
    from experiments.run import cli

    modes, by = [], torch.compile

    def compiled(losses, mode, **how):
        modes.append(mode)
        return by(losses, backend="eager", **how)

    torch.compile = compiled
    cli.run(compiled_steps.main, compiled_steps.Settings, compiled_steps.__doc__, arguments)
    assert modes == ["reduce-overhead"] * 2


def test_losses_and_speeds_of_each_way_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = f"{inspect.getsource(measured)}\nmeasured(*{(*TINY, '--bf16', '--device', 'cpu', '--out', str(tmp_path))})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "compiled-side16-width0.05-batch4-cpu.json").read_text())
    names = ["fp32, eager", "fp32, compiled", "bf16, eager", "bf16, compiled"]
    assert [*told["losses"]] == [*told["images_per_second"]] == names
    for number_format in ("fp32", "bf16"):
        eager, compiled = (told["losses"][f"{number_format}, {how}"] for how in ("eager", "compiled"))
        assert eager == compiled
        assert len(set(eager)) == 3
    assert told["losses"]["fp32, eager"] != told["losses"]["bf16, eager"]
    assert all(len(speeds) == 2 and min(speeds) > 0 for speeds in told["images_per_second"].values())
    assert "largest difference" in done.stdout
    other = (*TINY, "--device", "cpu", "--out", str(tmp_path))
    with pytest.raises(SystemExit, match="2"):
        cli.run(compiled_steps.main, Settings, compiled_steps.__doc__, other)
    assert "was measured by other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--steps", "0"), "--steps"), (("--side", "8"), "--side"), (("--classes", "1"), "--classes")],
)
def test_what_cannot_be_trained_is_one_line(
    arguments: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.run(compiled_steps.main, Settings, compiled_steps.__doc__, arguments)
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
