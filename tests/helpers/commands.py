"""Commands as a user types them, in the process of the tests."""

from types import ModuleType

import bcnn_prune.command_line.run
from experiments.run import cli


def exit_code(module: ModuleType, *words: object) -> int:
    """The exit code of the command that `module` is; it prints as it would in a process of its own."""
    run = cli.run if module.__name__.startswith("experiments.") else bcnn_prune.command_line.run.run
    try:
        run(module.main, module.Settings, module.__doc__, [str(word) for word in words])
    except SystemExit as left:
        return int(left.code or 0)
    return 0
