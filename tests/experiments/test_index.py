"""The index of commands: all of them, each with a line that fits, without importing any."""

import subprocess
import sys
from pathlib import Path

from experiments.__main__ import commands, index

ROOT = Path(__file__).parents[2]


def test_every_command_is_listed_with_its_first_line() -> None:
    lines = index().splitlines()
    for folder in ("experiments", "experiments/exercises", "experiments/measure"):
        for path in (ROOT / folder).glob("*.py"):
            is_command = "\nclass Settings" in path.read_text("utf-8")
            module = f"{folder.replace('/', '.')}.{path.stem} "
            assert any(module in line for line in lines) == is_command, path
    flows = commands("experiments", "flows")
    assert len(flows) == 11
    assert set(flows) < set(commands("experiments"))
    for line in lines:
        if line.startswith("  "):
            _, _, description = line.strip().partition("  ")
            assert 10 < len(description.strip()) <= 100, line


def test_it_starts_at_once() -> None:
    code = "import sys, runpy; runpy.run_module('experiments', run_name='__main__'); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert "python -m experiments.oneshot" in done.stdout


def test_commands_import_what_takes_long_to_import_when_they_need_it() -> None:
    code = (
        "import sys, experiments.oneshot, experiments.thesis, experiments.compress, experiments.deploy; "
        "sys.exit(str({'matplotlib', 'pandas', 'scipy.stats', 'seaborn', 'timm'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.strip() == ""
