"""Read settings from a command line with tyro, and refuse what does not fit in one line that names the option."""

import dataclasses
import difflib
import re
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn, TypeVar

import tyro
from tyro import _arguments, _errors  # private: setup.cfg pins the release; tyro itself draws a box of 5 to 13 lines

Settings = TypeVar("Settings")

KINDS = {
    "FLOAT": ("a number such as 0.4", "numbers such as 0.2 0.4"),
    "SHARE": ("a share such as 0.4 or 40%", "shares such as 0.2 0.4 or 20% 40%"),
    "INT": ("a whole number", "whole numbers"),
    "N": ("a whole number", "whole numbers"),
    "PATH": ("a path", "paths"),
}
"""One and several of a tyro metavar, in words."""


def _share(texts: list[str]) -> float:
    text = texts[0].strip()
    return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)


Share = Annotated[
    float,
    tyro.constructors.PrimitiveConstructorSpec[float](
        nargs=1,
        metavar="SHARE",
        instance_from_str=_share,
        is_instance=lambda value: isinstance(value, int | float),
        str_from_instance=lambda value: [str(value)],
    ),
]
"""A share on the command line, as 0.4 or 40%."""


def parse(
    settings: type[Settings],
    arguments: Sequence[str] | None = None,
    description: str | None = None,
    console_outputs: bool = True,
    module: str | None = None,
) -> Settings:
    """The settings that `arguments` give; those of the command line if None.

    `module` is the command's, the settings' own if None.

    `--help` prints the help, where `console_outputs`, and leaves with 0. Raises ValueError, one line that names the
    option and ends with the command that explains it, for an option that is unknown, missing, empty or of another
    type."""
    arguments = sys.argv[1:] if arguments is None else arguments
    command = command_of(module or settings.__module__)
    known = _options(settings)
    _require_values(arguments, command)

    def refuse(event: _errors.ParseErrorEvent) -> NoReturn:
        raise ValueError(f"{_problem(event, arguments, known)} ({command} --help)")

    try:
        with _errors.on_parse_error(refuse):
            return tyro.cli(
                settings,
                prog=command,
                args=arguments,
                description=description,
                console_outputs=console_outputs,
                config=(tyro.conf.DisallowNone,),
            )
    except AssertionError as error:  # so tyro refuses a shell for which it writes no completion
        raise ValueError(f"{error} ({command} --help)") from error


def command_of(module: str) -> str:
    """The command that a module is, such as python -m experiments.oneshot."""
    if module == "__main__":
        spec = sys.modules["__main__"].__spec__
        if spec is None:
            return f"python {sys.argv[0]}"
        module = spec.name
    return f"python -m {module.removesuffix('.__main__')}"


def option(name: str) -> str:
    """Spelling of the setting `name` on the command line."""
    return f"--{name.replace('_', '-')}"


def _options(settings: type) -> list[str]:
    assert dataclasses.is_dataclass(settings)
    unnamed = (tyro.conf.Positional, tyro.conf.Fixed, tyro.conf.Suppress)
    named = [
        x
        for x in dataclasses.fields(settings)
        if not any(mark in unnamed for mark in getattr(x.type, "__metadata__", ()))
    ]
    aliases = [alias for x in named for mark in getattr(x.type, "__metadata__", ()) for alias in _aliases(mark)]
    switches = [option(f"no-{x.name}") for x in named if x.type is bool]
    return ["--help", *(option(x.name) for x in named), *switches, *aliases]


def _aliases(mark: object) -> tuple[str, ...]:
    """Other spellings that tyro.conf.arg gives an option."""
    return tuple(getattr(mark, "aliases", None) or ())


def _require_values(arguments: Sequence[str], command: str) -> None:
    """Refuse what is given empty: an unset variable in a script would else count as not given."""
    for before, argument in zip(("", *arguments), arguments, strict=False):
        name, assigned, value = argument.partition("=")
        if not argument.strip():
            empty = before if before.startswith("--") and "=" not in before else "an argument"
        elif argument.startswith("--") and assigned and not value.strip():
            empty = name
        else:
            continue
        raise ValueError(f"{empty} is empty: give a value, or leave it out ({command} --help)")


def _problem(event: _errors.ParseErrorEvent, arguments: Sequence[str], known: Sequence[str]) -> str:
    # Before what is missing: a misspelt option may be why it is.
    if unknown := [text for text in arguments if text.startswith("--") and _spelling(text) not in known]:
        return _unknown(unknown[0], known)
    match event:
        case _errors.MissingArgs():
            names = [_name(missing.arg) for missing in event.missing_arguments]
            return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing"
        case _errors.UnrecognizedArgs():
            return _unknown(event.tokens[0], known)
        case _errors.InvalidChoice():
            return f"{_name(event.argument)} is {event.value!r}: take {_listed(event.choices)}"
        case _errors.BadValue() if event.argument.is_positional():
            return f"{_name(event.argument)} is missing"
        case _errors.BadValue():
            return f"{_name(event.argument)} needs {_wanted(event.argument.lowered.metavar)}"
        case _errors.InstantiationFailure(argument=argument) if argument is not None:
            return _unfit(argument, arguments)
        case _errors.InstantiationFailure():
            return event.message
        case _:  # tyro may come to know of more
            return "the command line cannot be read"


def _unfit(argument: _arguments.ArgumentDefinition, arguments: Sequence[str]) -> str:
    """A value that is there and of another type."""
    given, wanted = _given(_names(argument), arguments), _wanted(argument.lowered.metavar)
    if not given:
        return f"{_name(argument)} needs {wanted}"
    problem = f"{_name(argument)} is {' '.join(given)!r}: take {wanted}"
    decimal_comma = "such as" in wanted and any(re.fullmatch(r"-?\d*,\d+%?", text) for text in given)
    return problem + ", with a point" * decimal_comma


def _given(names: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """The texts that stand behind an option, by any of its names, or after its = sign; empty for a positional
    argument."""
    found: list[str] = []
    collects = False
    for argument in arguments:
        if argument.startswith("--"):
            collects = _spelling(argument) in names
            if collects:
                _, assigned, value = argument.partition("=")
                found = [value] if assigned else []
        elif collects:
            found.append(argument)
    return found


def _unknown(token: str, known: Sequence[str]) -> str:
    if not token.startswith("-"):
        return f"{token!r} belongs to no option"
    near = difflib.get_close_matches(_spelling(token).lstrip("-"), [name.lstrip("-") for name in known], n=1)
    return f"there is no option {token.partition('=')[0]}" + (f": did you mean --{near[0]}?" if near else "")


def _spelling(argument: str) -> str:
    """An option without what is given to it; tyro takes --max_params for --max-params."""
    return argument.partition("=")[0].replace("_", "-")


def _name(argument: _arguments.ArgumentDefinition) -> str:
    if argument.is_positional():
        return f"the argument {argument.field.extern_name!r}"
    return _names(argument)[0]


def _names(argument: _arguments.ArgumentDefinition) -> list[str]:
    """An option's own name, then its aliases; none of a positional argument."""
    names = [name for name in argument.lowered.name_or_flags if name.startswith("--")]
    return sorted(names, key=lambda name: name in (argument.field.argconf.aliases or ()))


def _wanted(metavar: str | None) -> str:
    words = re.findall("[A-Z]+", metavar or "")
    one, several = KINDS.get(words[0] if words else "", ("a value", "values"))
    if "..." in (metavar or ""):
        return several
    return one if len(words) < 2 else f"{len(words)} {several}"


def _listed(choices: Sequence[str]) -> str:
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last
