"""Timing published shapes: the networks asked for, in files that run, each timed once and kept when stopped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.deployment.registry import VARIANTS, open_any
from bcnn_prune.model.checkpoint import load
from bcnn_prune.model.init import fresh
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning import select
from bcnn_prune.records.latency import Times, read_times, to_json
from bcnn_prune.spec import ModelSpec
from experiments.measure import runtimes
from experiments.measure.runtimes import Settings, chosen
from experiments.run import cli, variant_latency
from tests.helpers import example_times
from tests.helpers.strategies import TINY, plans, scores
from thesis_figures.analysis import reference

PUBLISHED = Path(__file__).parents[3] / "results" / "reference" / "thesis_results.csv"
ROW = next(row for row in reference.read(PUBLISHED) if (row.family, row.table, row.rate) == ("cars", "4.4", 0.8))
SMALL = ("--rows", "4.4@0.8", "--side", "16", "--threads", "1")
WHOLE = ModelSpec.of("vgg16", 196)


@dataclass
class Measured:
    """Stands in for the clock: hands out made-up times, and stops after so many networks."""

    stops_after: int = 99
    seen: list[Path] = field(default_factory=list)

    def __call__(self, checkpoint: Path, folder: Path, _variants: Sequence[str], *_told: object) -> Times:
        if len(self.seen) == self.stops_after:
            raise KeyboardInterrupt
        self.seen.append(folder)
        assert checkpoint.parent == folder
        return example_times.times(len(self.seen))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    stand_in = Measured()
    monkeypatch.setattr(variant_latency, "measure", stand_in)
    return stand_in


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that files were written to; the files themselves take seconds each and are left out."""
    folders = list[Path]()
    monkeypatch.setattr(runtimes, "write_variants", lambda folder, *_told, **_more: folders.append(folder))
    return folders


def command(*arguments: str) -> None:
    words = (*SMALL, "--published", str(PUBLISHED), *arguments)
    cli.run(runtimes.main, Settings, runtimes.__doc__, words, interrupted="kept")


def test_the_networks_are_the_published_ones_and_what_rounding_makes_of_them() -> None:
    networks = {
        (network.name, network.multiple): network
        for network in chosen(Settings(published=PUBLISHED, multiples=(1, 8, 16)))
    }
    names = ("unpruned", *(f"one-shot, {share}% cut" for share in (40, 60, 80)))
    heavier = tuple(f"one-shot, heavier last penalty, {share}% cut" for share in (40, 45))
    assert [key for key in networks if key[1] == 1] == [(name, 1) for name in (*names, *heavier)]
    assert ("unpruned", 16) not in networks  # the same network again
    assert networks["unpruned", 1].spec == networks["one-shot, 40% cut", 8].unpruned == WHOLE
    network = networks["one-shot, 80% cut", 1]
    assert network.spec.widths == (9, 23, 15, 27, 14, 16, 64, 101, 20, 209, 88, 201, 57)
    rounded = networks["one-shot, 80% cut", 16].spec.widths
    assert rounded == (16, 32, 16, 32, 16, 16, 64, 112, 32, 224, 96, 208, 64)
    info = network.info(224)
    assert (info.card.spec, info.unpruned) == (network.spec, WHOLE)


@given(plans(TINY), st.data(), st.integers(1, 9))
def test_widths_are_rounded_as_selection_rounds_a_plan(plan: ChannelPlan, data: st.DataObject, multiple: int) -> None:
    expected = select.round_widths_up(plan, data.draw(scores(TINY)), multiple).narrow(TINY)
    assert runtimes.rounded_up(plan.narrow(TINY), multiple, TINY) == expected


@torch.inference_mode()
def test_random_weights_make_no_subnormal_numbers() -> None:
    """Which processors compute many times slower: a network with them would not be timed for its shape."""
    assert ROW.spec is not None
    model, outputs = fresh(ROW.spec, torch.Generator().manual_seed(0)).eval(), list[torch.Tensor]()
    for module in model.trunk:
        module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output.clone()))
    model(torch.rand(1, 3, 32, 32) * 2 - 1)
    assert len(outputs) == 13 * 3 + 4
    for output in outputs:
        size = output.abs()
        assert not ((size > 0) & (size < torch.finfo(torch.float32).tiny * 2**24)).any()
        assert size.max() > 0


def test_files_of_every_variant_are_prepared_and_run(here: Path, measured: Measured) -> None:
    command("--prepare")
    assert measured.seen == []
    (folder,) = (path for path in (here / "runs" / "runtimes").iterdir() if path.is_dir())
    files = {variant.file for variant in VARIANTS.values() if variant.file}
    assert files < {path.name for path in folder.iterdir()}
    _, info = load(folder / "model.safetensors")
    assert (info.card.spec, info.card.side, info.unpruned) == (ROW.spec, 16, WHOLE)
    pixels = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    expected = open_any(folder / "model.safetensors", 1).run(pixels)
    for name in files:
        logits = open_any(folder / name, 1).run(pixels)
        if "int8" in name:  # of random weights little is left
            assert np.corrcoef(logits.ravel(), expected.ravel())[0, 1] > 0.5
        else:
            np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())
    written = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    command()
    assert measured.seen == [Path("runs/runtimes") / folder.name]
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == written
    (network,) = read_times(here / "runs" / "runtimes" / "runtimes.json").networks
    assert (network.network, network.multiple, network.spec, network.side) == ("one-shot, 80% cut", 1, ROW.spec, 16)
    assert network.times == example_times.times(1)
    assert network.provenance["threads"] == "1"
    assert set(network.provenance) > {"cpu", "instructions", "openvino", "onnxruntime", "torch", "commit", "finished"}


def test_a_stopped_run_keeps_what_it_timed_and_goes_on(
    here: Path, measured: Measured, exported: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path, three = here / "runs" / "runtimes" / "runtimes.json", ("--multiples", "1", "8", "16")
    measured.stops_after = 1
    with pytest.raises(SystemExit) as left:
        command(*three)
    assert left.value.code == 130
    assert [network.multiple for network in read_times(path).networks] == [1]
    measured.stops_after = 99
    command(*three)
    assert [network.multiple for network in read_times(path).networks] == [1, 8, 16]
    assert "network 1 of 3: one-shot, 80% cut: timed before" in capsys.readouterr().out
    assert len(measured.seen) == len(set(measured.seen)) == 3
    assert len(exported) == 3
    command("--multiples", "1", "--side", "24")  # another size is another network
    assert [network.side for network in read_times(path).networks] == [16, 16, 16, 24]


def test_times_of_one_batch_are_not_replaced_by_those_of_another(
    here: Path, exported: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    both = example_times.times(1)
    ways = {name: tuple(timing for timing in way if timing.latency.batch == 1) for name, way in both.ways.items()}
    monkeypatch.setattr(variant_latency, "measure", lambda *_: replace(both, ways=ways))
    path = here / "runs" / "runtimes" / "runtimes.json"
    command("--multiples", "1", "--rounds", "5", "0")
    before = path.read_bytes()
    with pytest.raises(SystemExit, match="2"):
        command("--multiples", "1", "--rounds", "0", "5")
    assert "at batch 1, taken together with those of other batches" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_files_made_for_another_processor_are_made_again(
    here: Path, measured: Measured, exported: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for vnni in (True, True, False):
        monkeypatch.setattr(runtimes.cpu, "has_int8_dot_product", lambda vnni=vnni: vnni)
        command("--prepare")
    assert len(exported) == 2


def refused(capsys: pytest.CaptureFixture[str], act: Callable[[], None]) -> str:
    with pytest.raises(SystemExit) as left:
        act()
    assert left.value.code == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    return errors


def test_times_of_another_machine_are_not_mixed_with_this_ones(
    here: Path, measured: Measured, exported: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    command()
    path = here / "runs" / "runtimes" / "runtimes.json"
    assert "holds times of another machine: its threads 1, here 2" in refused(capsys, lambda: command("--threads", "2"))
    record = read_times(path)
    other = replace(record.networks[0], provenance={**record.networks[0].provenance, "instructions": "mmx"})
    path.write_text(to_json(replace(record, networks=(other,))))
    assert "its instructions mmx, here" in refused(capsys, command)
    path.write_text("{}")
    assert "runtimes.json is no record of runtimes" in refused(capsys, command)
    assert len(measured.seen) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rows", "4.4@0.5"), "no widths of 4.4@0.5 for cars: take unpruned, 4.4@0.2, 4.4@0.4"),
        (("--multiples", "0"), "--multiples has 0: take 1"),
        (("--rounds", "0", "0"), "--rounds is 0 0: take one count for batch 1"),
        (("--side", "8"), "--side is 8: take 16 px or more"),
        (("--threads", "0"), "--threads is 0: take 1 or more"),
        (("--published", "none.csv"), "none.csv"),
    ],
)
def test_what_cannot_be_timed_is_refused(
    arguments: tuple[str, ...], message: str, here: Path, measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, lambda: command(*arguments))
    assert measured.seen == []
    assert not list(here.rglob("*.json"))
