"""List every command of this project with the first line of its docstring.

python -m experiments"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]


def commands(package: str, defining: str = "Settings") -> dict[str, str]:
    """The first line of each docstring, by name of the modules that define `defining`. Imports none of them."""
    trees = {path.stem: ast.parse(path.read_text("utf-8")) for path in sorted((ROOT / package).glob("*.py"))}
    return {
        f"{package.replace('/', '.')}.{name}": (ast.get_docstring(tree) or "").partition("\n")[0]
        for name, tree in trees.items()
        if any(isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == defining for node in tree.body)
    }


def index() -> str:
    """All commands, grouped."""
    top = commands("experiments")
    flows = {name: top.pop(name) for name in commands("experiments", "flows")}
    packages = {name: commands(name)[f"{name}.__main__"] for name in ("data_prep", "thesis_figures")}
    groups = {
        "Train and prune": flows,
        "The whole thesis; networks; deployment": top,
        "The course documents' experiments": commands("experiments/exercises", "main"),
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
