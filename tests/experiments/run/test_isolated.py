"""The processes behind other commands, started by hand: one line that tells what to start instead."""

from types import ModuleType

import pytest

from bcnn_prune.records.json_file import CONVERTER
from bcnn_prune.records.surgery import SurgeryJob
from bcnn_prune.spec import ModelSpec
from experiments.measure import surgery_worker, training_loops
from experiments.run import cli, matmul_peak


@pytest.mark.parametrize(
    ("module", "starter"), [(training_loops, "measure.throughput"), (surgery_worker, "measure.surgery")]
)
@pytest.mark.parametrize("words", [[], ["--help"], ["no JSON"], ["{}"], ["5"], ["null"], ["{}", "{}"]])
def test_a_process_without_a_job_tells_what_to_start(
    module: ModuleType, starter: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        module.main(words)
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == (
        f"error: this is a part of python -m experiments.{starter}, which gives it its work: start that\n"
    )


def test_a_job_that_fails_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    job = CONVERTER.dumps(SurgeryJob("rebuild", ModelSpec.of("vgg11", 3, 1 / 64), share=2))
    with pytest.raises(SystemExit, match="1"):
        surgery_worker.main([job])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ValueError: the share to prune is 2")


@pytest.mark.parametrize("words", [["tpu"], ["cpu", "fp64"], []])
def test_the_peak_of_what_is_not_there_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.run(matmul_peak.main, matmul_peak.Settings, matmul_peak.__doc__, words)


def test_the_peak_of_a_gpu_needs_one(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul_peak.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        cli.run(matmul_peak.main, matmul_peak.Settings, matmul_peak.__doc__, ["cuda"])
    assert capsys.readouterr().err == "error: torch sees no GPU here: take cpu\n"
