"""Odd command lines over all commands: each is refused in one line, without a traceback and within a minute.

    python -m tests.helpers.odd_commands --count 200 --seed 0

draws them at random from a seed. Options are misspelt, missing, empty or of another type. Numbers are out of range.
Paths lead to nothing, to damaged files, or to a folder or file in the way. Each runs in a fork of this process, in a
folder with a tiny image set and a tiny checkpoint. The last lines name the number of refused command lines, the
accepted ones, and, with exit code 1, those that failed."""

import dataclasses
import importlib
import os
import random
import signal
import sys
import tempfile
import time
import traceback
import typing
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import tyro

from tests.helpers.commands import exit_code

ROOT = Path(__file__).parents[2]
LIMIT = 60
"""Seconds that a command line may take."""

FLOW = ["--dataset", "cars", "--data", "set.h5", "--dense-epochs", "1", "--sparse-epochs", "1", "--width", "0.05"]
SOUND = {
    "ablation": FLOW,
    "compress": [*FLOW, "--method", "low_rank", "--keep-macs", "0.5"],
    "criteria": [*FLOW, "--prune", "0.1"],
    "equal_cost": FLOW,
    "iterative": [*FLOW, "--prune", "0.1"],
    "oneshot": [*FLOW, "--prune", "0.1"],
    "proxy": FLOW,
    "sensitivity": FLOW,
    "scratch": [*FLOW, "--prune", "0.1"],
    "soft": [*FLOW, "--prune", "0.1"],
    "sweep": FLOW,
    "thesis": [*FLOW, "--backend", "local"],
    "timm_networks": ["--dataset", "cars", "--data", "set.h5", "--epochs", "1", "--networks", "mobilenetv3_small_050"],
    "deploy": ["model.safetensors", "--data", "set.h5"],
    "measure.int8_layers": ["model.safetensors", "--data", "set.h5"],
    "predict": ["model.safetensors", "photo.png"],
    "data_prep": ["cars", "--source", "folder"],
}
"""Valid arguments of a command, before one is made odd."""

NUMBERS = (
    "-1",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "0,4",
    "x",
    "",
    " ",
    "None",
    "1.5.2",
    "99999999999999999999",
    "0x1",
)
PLACES = ("", "none/at/all", "folder", "empty", "notes.txt", "broken.h5", "pipe", "/dev/null", "notes.txt/x", "x" * 300)
IN_THE_WAY = ("", "notes.txt", "notes.txt/x", "/proc/none", "/dev/null/x", "x" * 300)
WORDS = ("", "x", "None", "../..", "ü", "0", "--", "x" * 5000)
PLACES_TO_WRITE = ("out", "results")


@dataclass(frozen=True)
class Command:
    """A command, by what makes it one."""

    module: ModuleType

    @property
    def name(self) -> str:
        return self.module.__name__.removesuffix(".__main__").removeprefix("experiments.")

    @property
    def options(self) -> list["dataclasses.Field[Any]"]:
        return [x for x in dataclasses.fields(self.module.Settings) if not _is_positional(x.type)]

    @property
    def sound(self) -> list[str]:
        return SOUND.get(self.name, [])


@dataclass(frozen=True)
class Ended:
    """Exit code, errors and time of a command line."""

    command: str
    words: tuple[str, ...]
    code: int
    """128 and a signal's number where one ended it."""
    error: str
    seconds: float

    @property
    def problem(self) -> str:
        """Nothing where it was accepted, or refused in one line."""
        lines = [line for line in self.error.splitlines() if not line.startswith("warning: ")]
        if self.seconds >= LIMIT:
            return f"took {self.seconds:.0f} s"
        if "Traceback" in self.error:
            return "traceback"
        if self.code == 0:
            return ""
        if self.code not in (1, 2) or len(lines) != 1 or not lines[0].startswith(("error: ", "stopped: ")):
            return f"code {self.code} and {len(lines)} lines"
        return ""

    def __str__(self) -> str:
        words = " ".join(repr(word[:60]) if " " in word or not word else word[:60] for word in self.words)
        return f"{self.command} {words}"


def commands() -> list[Command]:
    """All modules that are a command: they have settings, a main, and run it."""
    files = [
        *sorted((ROOT / "experiments").rglob("*.py")),
        *(ROOT / x / "__main__.py" for x in ("data_prep", "thesis_figures")),
    ]
    names = [".".join(x.relative_to(ROOT).with_suffix("").parts) for x in files if "run(main, Settings" in _text(x)]
    return [Command(importlib.import_module(name)) for name in names]


def _text(path: Path) -> str:
    return " ".join(path.read_text().split()).replace("run( main, Settings", "run(main, Settings")


def odd_lines(command: Command, rng: random.Random) -> Iterator[list[str]]:
    """Command lines with one thing wrong each, without an end."""
    while not command.options:
        yield [*command.sound, rng.choice(("extra", "-x", "--nonsense", ""))]
    while True:
        option = rng.choice(command.options)
        name = f"--{option.name.replace('_', '-')}"
        yield rng.choices(
            [
                [*command.sound, name, *_odd_value(option, rng)],
                [*command.sound, f"{name}={_odd_value(option, rng)[0]}"],
                [*command.sound, f"{name[:-1]}{rng.choice('xyz')}", "1"],
                [*command.sound, name],
                [*command.sound, rng.choice(("extra", "-x", "-help", "0.4", "--no-such-thing"))],
                [*command.sound[: rng.randrange(len(command.sound) + 1)], "--nonsense"],
            ],
            weights=[10, 3, 2, 1, 1, 1],
        )[0]


def _odd_value(option: "dataclasses.Field[Any]", rng: random.Random) -> list[str]:
    """Values of another type than the option's, or of its type and impossible."""
    kinds = _leaves(option.type)
    if bool in kinds:
        return ["maybe"]
    if Path in kinds:
        return [rng.choice(IN_THE_WAY if option.name in PLACES_TO_WRITE else PLACES)]
    if int in kinds or float in kinds:
        odd = rng.choice(NUMBERS)
        return [rng.choice(["1", odd]), odd] if tuple in kinds else [odd]
    return [rng.choice(WORDS)]


def _leaves(kind: Any) -> set[Any]:
    """The plain types in an annotation; tuple for several."""
    if inner := typing.get_args(kind):
        return {tuple for _ in (0,) if typing.get_origin(kind) is tuple}.union(*map(_leaves, inner))
    return {kind}


def _is_positional(kind: Any) -> bool:
    return tyro.conf.Positional in getattr(kind, "__metadata__", ())


def ended(command: Command, words: Sequence[str], folder: Path) -> Ended:
    """Run a command line in a fork, in `folder`, and stop it at LIMIT."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        child = os.fork()
        if child == 0:
            _become(command, words, folder, out.fileno(), error.fileno())
        _, status = os.waitpid(child, 0)
        with suppress(ProcessLookupError):  # what it started and left behind
            os.killpg(child, signal.SIGKILL)
        error.seek(0)
        errors = error.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    return Ended(command.name, tuple(words), code if code >= 0 else 128 - code, errors, time.monotonic() - start)


def _become(command: Command, words: Sequence[str], folder: Path, out: int, error: int) -> typing.NoReturn:
    """Be the command, and nothing of this process after it."""
    os.setpgid(0, 0)
    code = 99
    try:
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(error, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")  # pytest may have put others in their place
        signal.alarm(LIMIT)
        code = exit_code(command.module, *words)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def furnish(folder: Path) -> None:
    """A tiny set, a checkpoint of it, and what may be named by mistake. In a fork: it starts torch's threads."""
    child = os.fork()
    if child == 0:
        _furnish(folder)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the folder cannot be furnished")


def _furnish(folder: Path) -> None:
    import torch
    from PIL import Image

    from bcnn_prune.metadata import ModelCard
    from bcnn_prune.model.checkpoint import CheckpointInfo, save
    from bcnn_prune.model.init import fresh
    from bcnn_prune.plan import ChannelPlan
    from bcnn_prune.spec import ModelSpec
    from tests.helpers.small_sets import stripes

    info, spec = stripes(folder / "set.h5"), ModelSpec.of("vgg11", 3, 0.05)
    checkpoint = CheckpointInfo(
        ModelCard(spec, info.class_names, info.name, info.side), spec, ChannelPlan.keep_all(spec)
    )
    save(folder / "model.safetensors", fresh(spec, torch.Generator().manual_seed(0)), checkpoint)
    Image.new("RGB", (20, 20)).save(folder / "photo.png")
    (folder / "broken.h5").write_bytes(b"no HDF5")
    (folder / "notes.txt").write_text("notes\n")
    (folder / "empty").touch()
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")


def tried(count: int, seed: int, folder: Path) -> Iterator[Ended]:
    """`count` command lines, every command in its turn."""
    rng = random.Random(seed)
    lines = [(command, odd_lines(command, rng)) for command in commands()]
    for index in range(count):
        command, odd = lines[index % len(lines)]
        yield ended(command, next(odd), folder)


@dataclass(frozen=True)
class Settings:
    """Number and seed of the command lines."""

    count: int = 200
    """Command lines."""
    seed: int = 0
    """Seed of the random choice."""
    verbose: bool = False
    """Print each, with what it said."""


def main(settings: Settings) -> None:
    with tempfile.TemporaryDirectory(prefix="odd-commands-") as name:
        folder = Path(name)
        furnish(folder)
        all_ended = []
        for index, end in enumerate(tried(settings.count, settings.seed, folder), 1):
            all_ended.append(end)
            if settings.verbose or end.problem:
                print(
                    f"{index}. {end.problem} [{end.code}, {end.seconds:.1f} s] {end}\n    {end.error.strip()}",
                    flush=True,
                )
    accepted = [end for end in all_ended if end.code == 0 and not end.problem]
    wrong = [end for end in all_ended if end.problem]
    for end in accepted:
        print(f"accepted in {end.seconds:.1f} s: {end}")
    print(f"{len(all_ended)} command lines over {len(Counter(end.command for end in all_ended))} commands:")
    refused = len(all_ended) - len(accepted) - len(wrong)
    print(f"{refused} refused in one line, {len(accepted)} accepted, {len(wrong)} wrong")
    print(f"slowest: {max(end.seconds for end in all_ended):.1f} s")
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
