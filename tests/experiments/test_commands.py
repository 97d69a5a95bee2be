"""The commands as a user types them: what they refuse, in one line, and nothing lost."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from bcnn_prune.evaluation.isolated_latency import LatencyError
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
    thesis,
)
from experiments.recipes import OF_FAMILY, RECIPES, thesis_fine_tuning
from experiments.run import cli
from tests.helpers.commands import exit_code
from tests.helpers.small_sets import black, stripes

CPU_MEMORY = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"


FLOWS = (ablation, compress, criteria, equal_cost, iterative, oneshot, proxy, scratch, sensitivity, soft, sweep)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    stripes(tmp_path / "set.h5")
    stripes(tmp_path / "small.h5", side=12)
    (tmp_path / "broken.h5").write_bytes(b"no HDF5")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "cars", "--prune", "40"], "--prune is 40: take 0 or more and less than 1, such as 0.4 or 40%"),
        (["--dataset", "dogs", "--prune", "0.4"], "no data set dogs: take aircraft, cars, birds"),
        (["--dataset", "cars", "--prune", "0.4", "--data", "none.h5"], "none.h5 does not exist"),
        (["--dataset", "birds50", "--prune", "0.4"], "data/birds50.h5 is not there: python -m data_prep birds"),
        (["--dataset", "birds", "--data", "set.h5", "--prune", "0.4"], "set.h5 holds drawn-cars3, not birds"),
        (["--dataset", "cars", "--data", "set.h5", "--prune", "0.4", "--weights", "no.pth"], "no.pth does not exist"),
        (["--dataset", "cars", "--data", "set.h5", "--prune", "0.4", "--weights", "imagenet"], "take --width 1"),
        (
            ["--dataset", "cars", "--data", "set.h5", "--prune", "0.4", "--dense-epochs", "0"],
            "--dense-epochs is 0: take 1 or more",
        ),
        (["--dataset", "cars", "--data", "set.h5", "--prune", "0.9", "--min-channels", "30"], "at most"),
        (["--dataset", "cars", "--data", "broken.h5", "--prune", "0.4"], "broken.h5 is no HDF5 file"),
        (["--dataset", "cars50", "--data", "set.h5", "--prune", "0.4"], "set.h5 holds drawn-cars3, not cars50"),
        (
            ["--dataset", "cars", "--data", "small.h5", "--prune", "0.4"],
            "pool4_3 needs maps of 2 px, and has 1",
        ),
        (["--dataset", "cars", "--prune", "0.4", "--recalibrate", "-1"], "--recalibrate is -1"),
        (["--dataset", "cars", "--prune", "0.4", "--seed", "-1"], "--seed is -1"),
        (["--dataset", "cars", "--prune", "0.4", "--batch", "0"], "--batch is 0: take 1 or more"),
        (["--dataset", "cars", "--prune", "0.4", "--min-channels", "0"], "--min-channels is 0: take 1 or more"),
        (["--dataset", "cars", "--prune", "0.4", "--weights", ""], "--weights is empty: give a value, or leave it out"),
        (["--dataset", "cars", "--classes", "100", "--prune", "0.4"], "take --classes 2 to 85"),
        (["--dataset", "drawn-cars86", "--prune", "0.4"], "86 classes cannot be rendered: take --classes 2 to 85"),
        (["--dataset", "cars", "--prune", "0.4", "--distil-weight", "0.5"], "--distil-weight means nothing without"),
        (
            ["--dataset", "cars", "--prune", "0.4", "--distil", "--distil-weight", "2"],
            "--distil-weight is 2: take 0",
        ),
        (["--dataset", "cars", "--prune", "0.4", "--distil", "--distil-temperature", "0"], "is 0: take more than 0"),
        (
            ["--dataset", "cars", "--data", "set.h5", "--prune", "0.4", "--width", "inf"],
            "--width is inf: take more than 0 and at most 8",
        ),
        (
            ["--dataset", "cars", "--data", "set.h5", "--prune", "0.4", "--sparsity", "nan"],
            "--sparsity is nan: take 0 or more",
        ),
        (
            ["--dataset", "cars", "--data", "set.h5", "--prune", "0.4", "--weights", "broken.h5"],
            "broken.h5 is no file of",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.rglob("*"))
    assert exit_code(oneshot, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("flow", "arguments", "message"),
    [
        (iterative, ["--prune", "0.4", "--steps", "0"], "--steps is 0: take 1 or more"),
        (iterative, ["--prune", "0.4", "--steps", "101"], "--steps is 101: take at most 100"),
        (oneshot, ["--prune", "0.4", "--runtime", "onnx"], "--runtime means nothing without --max-ms: give both"),
        (proxy, ["--plans", "20000"], "--plans is 20000: take at most 10000"),
        (soft, ["--prune", "0.4", "--every", "0"], "--every is 0: take 1 or more"),
        (soft, ["--prune", "0.4", "--ramp", "-1"], "--ramp is -1: take 1 or more"),
        (criteria, ["--prune", "0.4", "--criterion", "magic"], "no criterion magic: take all, bn-scale"),
        (sweep, ["--rates", "0.2", "1.0"], "--rates is 1: take 0 or more"),
        (sweep, ["--rates"], "--rates is empty"),
        (scratch, ["--prune", "-0.1"], "--prune is -0.1: take 0 or more"),
        (ablation, ["--seed", "-1"], "--seed is -1"),
        (
            ablation,
            ["--variant", "bcnn-bn-at-once", "--weights", "none"],
            "cannot start from --weights none",
        ),
        (oneshot, [], "say how much to cut: either --prune 0.4, or a budget"),
        (oneshot, ["--prune", "0.4", "--max-params", "10k"], "say how much to cut: either --prune 0.4, or a budget"),
        (oneshot, ["--max-macs", "much"], "--max-macs is 'much': take a number"),
        (oneshot, ["--prune", "0.4", "--fine-tune-rate", "0"], "--fine-tune-rate is 0: take more than 0"),
        (oneshot, ["--max-ms", "-1"], "--max-ms is -1: take more than 0"),
        (oneshot, ["--max-params", "100"], "--max-params 100 cannot be met: with 4 channels in every layer"),
        (oneshot, ["--prune", "0.4", "--multiple", "0"], "--multiple is 0: take 1"),
        (oneshot, ["--prune", "0.4", "--allocation", "exact"], "--allocation exact takes one budget"),
        (soft, ["--max-ms", "1", "--keep-macs", "0.4", "--allocation", "exact"], "--allocation exact takes one budget"),
        (soft, [], "say how much to cut: either --prune 0.4, or a budget"),
        (criteria, ["--max-macs", "1M", "--keep-macs", "0.4"], "--max-macs and --keep-macs both limit"),
        (iterative, ["--keep-macs", "0"], "--keep-macs is 0: take more than 0"),
        (scratch, ["--keep-macs", "0.0001"], "--keep-macs 0.0001 cannot be met: with 4 channels in every layer"),
        (sweep, ["--rule", "best"], "--rule is best: take auto, thesis, raw, mean"),
        (oneshot, ["--prune", "0.4", "--floor-share", "1"], "--min-share is 1: take 0 or more and less than 1"),
        (oneshot, ["--prune", "0.8", "--rule", "rank", "--min-share", "30%"], "are protected: at most"),
        (equal_cost, ["--rules", "thesis", "best"], "--rules is 'best': take thesis, raw, mean"),
        (equal_cost, ["--rule", "mean"], "there is no option --rule: did you mean --rules?"),
        (oneshot, ["--keep-macs", "0.3", "--sparsity", "auto"], "--sparsity auto needs the share of BN scales"),
        (oneshot, ["--prune", "0.4", "--sparsity-share", "0.4"], "--sparsity-share means nothing without"),
        (oneshot, ["--prune", "0.4", "--sparsity", "many"], "--sparsity is 'many': take a number"),
        (sensitivity, ["--shares", "0.5", "0"], "--shares is 0: take more than 0"),
        (sensitivity, ["--criterion", "best"], "--criterion is 'best': take bn-scale"),
        (sensitivity, ["--rule", "lamp"], "--rule means nothing here, where each layer is cut alone"),
        (
            compress,
            ["--method", "low_rank", "--rule", "lamp"],
            "--rule is of --method prune: add it, or leave this out",
        ),
        (compress, ["--method", "sparse", "--multiple", "8"], "--multiple is of --method width or distil or prune"),
        (compress, ["--method", "width", "--min-channels", "8"], "--min-channels is of --method prune: add it"),
        (compress, ["--method", "width", "--recalibrate", "0"], "--recalibrate is of --method prune or low_rank or"),
        (proxy, ["--plans", "1"], "--plans is 1: take 2 or more"),
        (equal_cost, ["--rules"], "--rules is empty"),
        (soft, ["--keep-macs", "0.3", "--allocation", "exact"], "--allocation exact is not for soft pruning"),
        (equal_cost, ["--keep-macs", "0.3", "0"], "--keep-macs is 0: take more than 0"),
        (equal_cost, ["--keep-macs"], "--keep-macs is empty"),
        (equal_cost, ["--keep-macs", "0.5", "0.0001"], "--keep-macs 0.0001 cannot be met: with"),
        (compress, ["--method", "best"], "--method is 'best': take all, width, distil, prune, low_rank"),
        (compress, ["--max-ms", "2"], "--max-ms and --max-bytes choose among finished runs: add --choose"),
        (compress, ["--max-macs", "5M", "--keep-macs", "0.3"], "both limit multiply-adds"),
        (
            compress,
            ["--method", "low_rank", "--max-macs", "1k"],
            "--max-macs 1000 cannot be met: the form low-rank leaves",
        ),
        (compress, ["--method", "width", "--max-params", "10"], "--max-params 10 cannot be met: the narrowest VGG-16"),
        (compress, ["--student", "mobilenet"], "--student is of --method distil: add it"),
        (compress, ["--choose", "--max-bytes", "none"], "--max-bytes is 'none': take a number such as"),
        (thesis, ["--seeds", "0"], "--seeds is 0: take 1 or more"),
        (thesis, ["--width", "-1"], "--width is -1: take more than 0"),
        (oneshot, ["--prune", "0.4", "--width", "1e30"], "--width is 1e+30: take more than 0"),
        (
            oneshot,
            ["--prune", "0.4", "--batch", "1"],
            "a batch of 1 of 72 training images leaves BatchNorm a single value",
        ),
        (oneshot, ["--prune", "0.4", "--batch", "71"], "a batch of 1 of 72 training images"),
        (oneshot, ["--prune", "0.4", "--recalibrate", "1"], "--recalibrate is 1: at 16 px the last maps are 1 × 1"),
        (
            oneshot,
            ["--max-params", "3k", "--min-channels", "2", "--multiple", "16"],
            "with 16 channels in every layer, the least",
        ),
        (
            soft,
            ["--prune", "0.4", "--every", "5", "--fine-tune-epochs", "4"],
            "the last zeroing of 4 epochs comes after",
        ),
        (
            soft,
            ["--prune", "0.4", "--ramp", "9", "--fine-tune-epochs", "4"],
            "the last zeroing of 4 epochs comes after",
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, ModuleType) else "",
)
def test_each_flow_refuses_what_only_it_is_told(
    flow: ModuleType, arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.rglob("*"))
    assert exit_code(flow, "--dataset", "cars", "--data", "set.h5", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(folder.rglob("*")) == before


def test_the_whole_chapter_on_one_file_needs_to_know_of_what(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(thesis, "--data", "set.h5") == 2
    assert "--data names one file: name its --dataset too" in capsys.readouterr().err


@pytest.mark.parametrize("flow", [*FLOWS, thesis])
def test_every_flow_opens_with_its_command(flow: ModuleType) -> None:
    assert flow.__doc__ is not None
    assert f"python -m {flow.__name__} --dataset cars" in flow.__doc__


def test_a_network_that_has_not_learned_stops_before_l1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    black(folder / "black.h5")  # one batch: all images are taken for one class, in training and on val
    arguments = ["--dataset", "cars", "--data", "black.h5", "--prune", "0.1", "--min-channels", "1", "--batch", "48"]
    assert exit_code(oneshot, *arguments, "--dense-epochs", "1", "--width", "0.05", "--depth", "19") == 1
    output = capsys.readouterr()
    assert "the dense phase has not learned" in output.err
    assert (
        "val accuracy 0.333 of 24 images, train accuracy 0.333, chance 0.333. Try another learning rate" in output.err
    )
    assert output.err.count("\n") == 1
    assert "\nsparse: " not in output.out


def test_the_command_of_the_readme_explains_itself() -> None:
    """In a process of its own, as a user types it; every setting with its meaning."""
    command = [sys.executable, "-m", "experiments.oneshot"]
    helped = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "--last-sparsity" in helped.stdout
    assert "the channels that the head pools" in " ".join(helped.stdout.replace("│", " ").split())


@pytest.mark.parametrize(("share", "epochs"), [(0.0, 50), (0.2, 50), (0.4, 100), (0.45, 150), (0.6, 150), (0.8, 200)])
def test_the_thesis_fine_tunes_longer_after_larger_cuts(share: float, epochs: int) -> None:
    assert thesis_fine_tuning(share) == epochs


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError(CPU_MEMORY)]
)
def test_full_memory_is_one_line_with_the_way_out(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def full(settings: oneshot.Settings) -> None:
        raise error

    with pytest.raises(SystemExit) as left:
        cli.run(full, oneshot.Settings, None, ["--dataset", "cars", "--prune", "0.4"])
    assert left.value.code == 1
    assert "--batch" in capsys.readouterr().err


def test_a_runtime_that_fails_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(settings: oneshot.Settings) -> None:
        raise LatencyError("onnx cannot be timed: its process died")

    with pytest.raises(SystemExit, match="1"):
        cli.run(fails, oneshot.Settings, None, ["--dataset", "cars", "--prune", "0.4"])
    assert capsys.readouterr().err == "stopped: onnx cannot be timed: its process died\n"


def test_every_recipe_is_dense_first_and_sparse_after() -> None:
    cutting = [recipes for name, recipes in RECIPES.items() if not name.startswith("course-")]
    for recipes in (*cutting, *OF_FAMILY.values()):
        assert recipes.dense.sparsity == recipes.dense.last_sparsity == 0
        assert recipes.sparse.sparsity > 0
        assert recipes.sparse.last_sparsity > 0
