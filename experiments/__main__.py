"""List every command of this project with the first line of its docstring.

python -m experiments"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOWS = ("oneshot", "iterative", "soft", "criteria", "scratch", "sweep", "ablation")


def commands(package: str) -> dict[str, str]:
    """The commands of a package by module name, each with the first line of its docstring. Imports none of them."""
    trees = {path.stem: ast.parse(path.read_text("utf-8")) for path in sorted((ROOT / package).glob("*.py"))}
    return {
        f"{package.replace('/', '.')}.{name}": (ast.get_docstring(tree) or "").partition("\n")[0]
        for name, tree in trees.items()
        if any(isinstance(node, ast.ClassDef) and node.name == "Settings" for node in tree.body)
    }


def index() -> str:
    """All commands, grouped."""
    top = commands("experiments")
    flows = {f"experiments.{name}": top.pop(f"experiments.{name}") for name in FLOWS}
    packages = {name: commands(name)[f"{name}.__main__"] for name in ("data_prep", "thesis_figures")}
    groups = {
        "Train and prune": flows,
        "The whole thesis; networks; deployment": top,
        "Images, tables and figures": packages,
        "Questions about the implementation": commands("experiments/measure"),
    }
    width = max(len(name) for group in groups.values() for name in group)
    lines = []
    for title, group in groups.items():
        lines += [f"{title}:", *(f"  python -m {name:<{width}}  {line}" for name, line in group.items()), ""]
    return "\n".join([*lines, "--help after any of them explains its settings."])


if __name__ == "__main__":
    print(index())
