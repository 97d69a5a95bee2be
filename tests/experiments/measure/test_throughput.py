"""Throughput: the same images for both loops, in turn, each what its name says, one line when one fails."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_post_hook

from bcnn_prune.spec import ModelSpec
from experiments.measure import throughput, training_loops
from experiments.measure.throughput import Settings, Throughput, measure, write_images
from experiments.measure.training_loops import JSON, LOOPS, LoopJob, LoopTiming, Work
from experiments.run import cli

WORK = Work(
    spec=ModelSpec("vgg16", (3,) * 13, classes=3),
    side=16,
    batch=4,
    warm_up=1,
    steps=2,
    workers=0,
    device="cpu",
    bf16=True,
)
TOLD = {"side": "32", "width": "0.05", "batch": "4", "warm-up": "1", "steps": "2", "classes": "3", "device": "cpu"}
TINY = [*(word for name, value in TOLD.items() for word in (f"--{name}", value)), "--photo", "48", "36"]


def command(*arguments: str) -> None:
    cli.run(throughput.main, Settings, throughput.__doc__, arguments)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, WORK, (24, 18), lambda *_: None)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_measures_both_loops_in_processes_of_their_own(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command(*TINY, "--rounds", "1", "--workers", "1")
    (file,) = (here / "runs" / "throughput").glob("*.json")
    result = JSON.structure(json.loads(file.read_text()), Throughput)
    (timings,) = result.rounds
    assert list(timings) == ["usual", "ours"]
    assert timings["usual"].images == timings["ours"].images == 2 * 4
    assert all(timing.seconds > 0 and timing.peak_bytes > 50e6 for timing in timings.values())
    assert result.ratio("ours", "usual").of_medians == pytest.approx(timings["usual"].seconds / timings["ours"].seconds)
    assert result.work.spec == ModelSpec.of("vgg16", 3, 0.05)
    assert result.peak("fp32") > 1
    output = capsys.readouterr().out
    assert output.index("usual ") < output.index("ours ") < output.index("matrix product")
    assert "Training VGG-16 BCNN: 32 px, batch 4, 3 classes" in output
    with pytest.raises(SystemExit, match="2"):
        command(*TINY, "--rounds", "1", "--workers", "1", "--photo", "49", "36")
    assert "was measured by other settings" in capsys.readouterr().err


def test_both_loops_are_given_the_same_files(images: Path) -> None:
    """As many images as asked for, all files among them, the labels alike."""
    job = LoopJob("ours", images, replace(WORK, warm_up=2, steps=3))  # 20 images of the 12 files
    _, read = zip(*training_loops.decoded(job), strict=True)
    held = training_loops._in_memory(job)
    assert sorted(torch.cat(read).tolist()) == sorted(held.labels.tolist())
    assert len(held) == 20
    assert len(held.images.flatten(1).unique(dim=0)) == 12


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_is_what_its_name_says(loop: str, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, bool] = {"decoded": False}
    decoded = training_loops.decoded

    def of_input(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, nn.Conv2d) and module.in_channels == 3 and "bf16" not in seen:
            seen["bf16"] = torch.is_autocast_enabled("cpu")
            seen["channels-last"] = inputs[0].is_contiguous(memory_format=torch.channels_last)

    def of_step(optimizer: torch.optim.Optimizer, *_: object) -> None:
        seen["fused"] = all(group["fused"] for group in optimizer.param_groups)

    monkeypatch.setattr(training_loops, "decoded", lambda job: seen.update(decoded=True) or decoded(job))
    hooks = [register_module_forward_pre_hook(of_input), register_optimizer_step_post_hook(of_step)]
    try:
        timing = LOOPS[loop](LoopJob(loop, images, WORK))
    finally:
        for hook in hooks:
            hook.remove()
    ours = loop == "ours"
    assert seen == {"bf16": ours, "channels-last": ours, "fused": ours, "decoded": not ours}
    assert timing.images == 8


def canned(module: str, *_arguments: str, label: str) -> str:
    """Output of a process: ours twice as fast as the usual loop."""
    if module == "run.matmul_peak":
        return json.dumps({"fp32": 100.0, "bf16": 200.0})
    return JSON.dumps(
        LoopTiming(images=8, seconds=4.0 if label == "usual" else 2.0, first_step_seconds=9.0, peak_bytes=10)
    )


def test_loops_take_turns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    started: list[str] = []

    def isolated(*arguments: str, label: str) -> str:
        started.append(label)
        return canned(*arguments, label=label)

    monkeypatch.setattr(throughput, "run_module_isolated", isolated)
    console = throughput.terminal()
    result = measure(WORK, 3, (24, 18), Path(), console)
    assert started == ["usual", "ours", "matrix product"] * 3
    assert result.ratio("ours", "usual") == throughput.Ratio(2.0, 2.0, 2.0)
    assert result.share_of_peak("ours") == pytest.approx(4 * result.flops_per_image / 200e9)
    assert result.share_of_peak("usual") == pytest.approx(2 * result.flops_per_image / 100e9)
    console.print(throughput.table(result))
    output = " ".join(capsys.readouterr().out.split())
    assert "2.00 [2.00-2.00]" in output
    assert "[quartiles]" in output


def test_a_process_that_fails_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(throughput, "write_images", lambda *_: None)
    with pytest.raises(SystemExit) as left:
        command(*TINY, "--rounds", "1")
    assert left.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("stopped: usual: FileNotFoundError: ")
    assert error.count("\n") == 1
    assert not list(here.rglob("*.json"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--side", "8"], "--side is 8: take 16 or more"),
        (["--rounds", "0"], "--rounds is 0: take 1 or more"),
        (["--warm-up", "0"], "--warm-up is 0: take 1 or more"),
        (["--photo", "0", "9"], "--photo is 0 9: take 16 px or more each way"),
        (["--width", "0"], "width 0.0 leaves no channel"),
        (["--classes", "1"], "at least 2 classes"),
    ],
    ids=str,
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        command(*arguments)
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(here.iterdir())
