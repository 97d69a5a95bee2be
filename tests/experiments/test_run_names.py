"""Names of runs tell apart what their records tell apart, are short, and stay what they were; records are not lost."""

from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bcnn_prune.data.format import describe
from bcnn_prune.records import RunRecord, read_record, to_json
from experiments import (
    ablation,
    compress,
    criteria,
    equal_cost,
    iterative,
    oneshot,
    proxy,
    scratch,
    sensitivity,
    soft,
    sweep,
)
from experiments.run.record import require_no_other
from experiments.run.settings import LONGEST_NAME, RECORDED_AS, FlowSettings
from tests.helpers.explicit_records import SPARSE, data, run
from tests.helpers.small_sets import stripes

RESULTS = Path(__file__).parents[2] / "results"
FLOWS: dict[str, ModuleType] = {
    flow.__name__.rpartition(".")[2]: flow
    for flow in (oneshot, iterative, soft, criteria, scratch, sweep, ablation, equal_cost, compress, sensitivity, proxy)
}
RECORDED = sorted(path for flow in FLOWS for path in RESULTS.glob(f"{flow}/drawn-cars50/*-seed0.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_recorded_runs_keep_their_names(path: Path) -> None:
    record = read_record(path)
    assert settings_of(record).name(record.data) == path.stem


def test_settings_equal_what_every_record_holds() -> None:
    """Renamed options, too: whoever reruns a recorded run finds its record."""
    records = [read_record(path) for flow in FLOWS for path in sorted((RESULTS / flow).rglob("*.json"))]
    assert len(records) > 200
    for record in records:
        settings = settings_of(record)
        unset = {"width": record.settings["width"], "weights": record.settings["weights"]}  # the recipe's
        assert {**settings.plain(), **unset} == record.settings


def test_recorded_steps_gain_no_field_that_they_have_no_value_for() -> None:
    for path in RECORDED:
        assert '"repaired"' not in to_json(read_record(path))


def settings_of(record: RunRecord) -> FlowSettings:
    """The settings that a recorded run was given; those of its recipe left out."""
    names = {recorded: name for name, recorded in RECORDED_AS.items()}
    given: dict[str, Any] = {names.get(name, name): value for name, value in record.settings.items() if name != "width"}
    if record.experiment != "ablation":
        given["weights"] = None  # records hold those of the recipe
    several = ("keep_macs", "keep_ms") if record.experiment == "equal_cost" else ("rates", "shares")
    given |= {name: tuple(map(float, filter(None, given[name].split("+")))) for name in several if name in given}
    if "rules" in given:
        given["rules"] = tuple(given["rules"].split("+"))
    kind = FLOWS[record.experiment].Settings
    assert set(given) <= {field.name for field in fields(kind)}
    settings: FlowSettings = kind(**given)
    return settings


def test_the_set_decides_the_rule_unless_one_is_named() -> None:
    """A run is the same run, and has one name, whether its set's usual rule is named or not."""
    for kind, usual, other in (
        ("subset", "mean", "thesis"),
        ("own", "mean", "thesis"),
        ("synthetic", "thesis", "mean"),
    ):
        info = replace(data("cars50"), kind=kind)
        unsaid = oneshot.Settings(dataset="cars50", prune=0.4)
        named = {rule: replace(unsaid, rule=rule) for rule in (usual, other)}
        assert unsaid.on(info) == named[usual] == named[usual].on(info)
        assert {settings.name(info) for settings in (unsaid, unsaid.on(info))} == {"prune0.4-seed0"}
        assert named[other].on(info) == named[other]
        assert named[other].name(info) == f"rule{other}-prune0.4-seed0"
        assert named["mean"].plain()["rule"] == "mean"
        assert "rule" not in named["thesis"].plain()  # as in records from before there were others


def test_files_of_weights_are_told_apart_by_what_they_hold(tmp_path: Path) -> None:
    files = [tmp_path / folder / "model.safetensors" for folder in "abc"]
    for file, content in zip(files, (b"one", b"two", b"one"), strict=True):
        file.parent.mkdir()
        file.write_bytes(content)
    first, second, same = (FlowSettings(dataset="cars", weights=str(file)).name(data("cars")) for file in files)
    assert first == same != second
    assert first.startswith("weightsmodel_")
    files[0].write_bytes(b"another one")
    assert FlowSettings(dataset="cars", weights=str(files[0])).name(data("cars")) != first


def test_data_from_elsewhere_are_told_apart_by_what_they_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    usual, other = Path("data/drawn-cars3.h5"), tmp_path / "other.h5"
    for path, count in ((usual, 3), (other, 4)):
        stripes(path, per_class=(count, 1, 1))

    def name(path: Path | None, held: Path) -> str:
        return oneshot.Settings(dataset="drawn-cars3", data=path, prune=0.4).name(describe(held))

    assert name(None, usual) == name(usual, usual) == name(usual.resolve(), usual) == "prune0.4-seed0"
    assert name(other, other) == f"prune0.4-data{describe(other).digest[:8]}-seed0"


def test_a_name_is_short_and_still_tells_runs_apart() -> None:
    rates = tuple(i / 100 for i in range(1, 71))
    long, other = (sweep.Settings(dataset="cars", rates=swept).name(data("cars")) for swept in (rates, rates[:-1]))
    assert long != other
    assert max(map(len, (long, other))) <= LONGEST_NAME + len("~01234567-seed0")
    assert long.endswith("+0.69+0.7-seed0")
    assert sweep.Settings(dataset="cars", rates=rates, seed=1).name(data("cars")) == long.replace("seed0", "seed1")


def test_a_finished_record_of_another_run_is_never_written_over(tmp_path: Path) -> None:
    path, record = tmp_path / "record.json", run()

    def look(told: dict[str, Any], **changes: Any) -> None:
        settings, recipes = {**record.settings, **told}, {**record.recipes, **changes}
        require_no_other(path, "--out", settings, record.data, recipes)

    look({})
    path.write_text(to_json(record), encoding="utf-8")
    look({})
    look({"dataset": "the same by another name"})  # the data decide
    for told, changes, differing in (
        ({"weights": "a file"}, {}, "weights"),
        ({"multiple": 8}, {}, "multiple"),
        ({}, {"sparse": replace(SPARSE, epochs=9)}, "recipe of sparse"),
    ):
        with pytest.raises(FileExistsError, match=rf"^{path} .* \(it differs in {differing}\), .* another --out$"):
            look(told, **changes)
    with pytest.raises(FileExistsError, match="differs in data"):
        require_no_other(path, "--out", record.settings, data("other images"), record.recipes)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(FileExistsError, match=r"is no run record.*move it away, or name another --out"):
        look({})
