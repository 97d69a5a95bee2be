"""README and other pages: the Python example runs, commands can be given, links and paths exist."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import torch

import bcnn_prune as bp
from bcnn_prune.command_line.parse import parse

ROOT = Path(__file__).parents[1]


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (32, 3, 64, 64), generator=generator, dtype=torch.uint8)
    batches = [(part, torch.arange(len(part)) % 3) for part in pixels.split(16)]
    monkeypatch.chdir(tmp_path)
    exec(code, {"train": batches, "val": batches, "test": batches})
    assert bp.load("pruned.safetensors").spec.channels < bp.create("vgg16", classes=3, width=0.25).spec.channels
    assert (tmp_path / "pruned.onnx").stat().st_size > 10_000


FOLDERS = ("bcnn_prune", "data_prep", "experiments", "results", "tests", "thesis_figures")
PAGES = [*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


COMMANDS = [
    (name, words)
    for page in PAGES
    for block in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8").replace("\\\n", " "), re.DOTALL)
    for name, words in re.findall(r"-m ((?:experiments|data_prep|thesis_figures)[\w.]*)(.*)", block)
    if name != "experiments"
]
"""Each `python -m …` of a code block: its module, and what follows it."""


@pytest.mark.parametrize(("name", "words"), dict.fromkeys(COMMANDS))
def test_commands_in_pages_can_be_given(name: str, words: str) -> None:
    """Parsed, and their settings checked as far as they can be without data."""
    command = import_module(name if "." in name else f"{name}.__main__")
    given = parse(command.Settings, shlex.split(words.replace("$run", "runs/x"), comments=True))
    assert isinstance(given, command.Settings)
    getattr(given, "check", lambda: None)()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_paths_in_code_spans_exist(page: str) -> None:
    folders = "|".join(("bcnn_prune", "experiments", "data_prep", "thesis_figures", "tests"))
    paths = re.findall(rf"`((?:{folders})/[\w/.]*)`", (ROOT / page).read_text("utf-8"))
    assert len(paths) > 3
    assert [path for path in paths if not (ROOT / path).exists()] == []
