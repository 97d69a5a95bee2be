"""A sample of odd command lines, one for every command: `python -m tests.helpers.odd_commands` tries more."""

from pathlib import Path

from tests.helpers.odd_commands import Command, commands, furnish, tried


def test_an_odd_command_line_of_every_command_is_refused_in_one_line(tmp_path: Path) -> None:
    furnish(tmp_path)
    known = commands()
    ends = list(tried(len(known), seed=0, folder=tmp_path))
    assert [end.command for end in ends] == [command.name for command in known]
    assert [(end.problem, str(end), end.error) for end in ends if end.problem] == []
    assert sum(end.code == 2 for end in ends) >= len(known) - 2  # an odd value may turn out to be one that works


def test_a_command_that_goes_wrong_is_told_from_one_that_refuses(tmp_path: Path) -> None:
    from experiments.measure import samples
    from tests.helpers.odd_commands import ended

    class Broken:
        __name__, __doc__, Settings = "experiments.broken", None, samples.Settings

        @staticmethod
        def main(_: samples.Settings) -> None:
            raise KeyError("two\nlines")

    assert ended(Command(Broken()), [], tmp_path).problem == "traceback"  # type: ignore[arg-type]
    assert ended(Command(samples), ["--side", "1"], tmp_path).problem == ""
