"""deploy and predict as a user types them: from a checkpoint to the classes of image files, through every format."""

import copy
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import ExifTags, Image
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from bcnn_prune.data.format import describe
from bcnn_prune.deployment import packages
from bcnn_prune.deployment.quantise import Calibration
from bcnn_prune.deployment.registry import VARIANTS
from bcnn_prune.deployment.runtime import LoadedModel
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.evaluation.isolated_latency import LatencyError
from bcnn_prune.files import write_text
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.checkpoint import save
from bcnn_prune.records import Evaluation, SpeedUp
from bcnn_prune.records.deploy import VariantReport, read_report, to_json
from bcnn_prune.records.latency import DENSE, SILENCED
from bcnn_prune.spec import ModelSpec
from experiments import deploy, predict
from experiments.measure import int8_layers
from experiments.run import cli, cpu, variant_latency
from experiments.run.checkpoint import CheckpointSettings
from tests.deployment.conftest import SIDE, SURE, Deployed, Trained, draw
from tests.helpers.small_sets import Stripes, stripes
from tests.helpers.strategies import FP32_ROUNDING
from thesis_figures.analysis import runs


def run(command: ModuleType, *arguments: object) -> None:
    cli.run(command.main, command.Settings, command.__doc__, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One image of the second class in every form that has to become the same RGB, and a JPEG and a larger one."""
    folder = tmp_path_factory.mktemp("images")
    stripe = Image.fromarray(Stripes(1, 77)(SIDE))
    grey = stripe.convert("L")
    made = {
        "rgb.png": stripe,
        "grey.png": grey,
        "palette.png": stripe.quantize(256),
        "transparent.png": stripe.convert("RGBA"),
        "photo.jpg": stripe.resize((60, 40)),
        "grey.jpeg": grey,
    }
    for name, image in made.items():
        image.save(folder / name, **({"quality": 95} if "p.j" in name else {}))
    return {name: folder / name for name in made}


def test_every_variant_is_written_and_held_against_the_original(trained: Trained, deployed: Deployed) -> None:
    report = read_report(deployed.folder / "deploy.json")
    assert set(VARIANTS) - set(report.variants) <= {"openvino-bf16"}  # which not every processor computes
    assert (report.spec, report.unpruned) == (trained.info.card.spec, trained.info.unpruned)
    assert (report.dataset, report.calibration_images, report.kept) == ("drawn-cars4", 48, ())
    assert report.vnni == cpu.has_int8_dot_product()
    assert report.times is None
    original = report.variants["torch"]
    assert original.test.images == original.agreeing == 80
    assert original.largest_difference == 0
    assert original.bytes == trained.checkpoint.stat().st_size
    for name, variant in report.variants.items():
        assert variant.test == original.test, name
        assert variant.agreeing == 80, name
        exact = "int8" not in name and "bf16" not in name
        assert (variant.largest_difference < FP32_ROUNDING) == exact, name
        assert variant.largest_difference < SURE / 2, name
        assert name in deployed.said
        assert f"{variant.test.correct}/{variant.test.images}" in deployed.said
    assert "int8 from 48 val images, weights of " in deployed.said
    assert "in fp32 there: the pooled product and its root" in deployed.said
    pair = sum((deployed.folder / name).stat().st_size for name in ("model.xml", "model.bin"))
    assert report.variants["openvino"].bytes == pair


def test_the_silenced_network_costs_what_the_unpruned_one_does(trained: Trained) -> None:
    """Its opener, as the process that is timed calls it."""
    with FlopCounterMode(display=False) as silenced, torch.inference_mode():
        logits = variant_latency._silenced(trained.checkpoint, 1)(8)()
    assert logits.shape == (8, trained.info.card.spec.classes)
    assert silenced.get_total_flops() == 2 * 8 * total_cost(trained.info.unpruned, SIDE).macs


def test_nothing_is_left_in_the_home_folder(deployed: Deployed) -> None:
    """There onnxruntime and openvino keep an identifier of the machine, to report with."""
    assert list(deployed.home.rglob("*")) == []


def test_chosen_variants_are_compared_timed_beside_the_dense_and_the_silenced_network_and_kept_among_results(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = ("torch", "openvino-int8")
    monkeypatch.setattr(deploy, "supported", lambda: chosen)  # each further one starts a process that loads torch
    other = "no" if cpu.has_int8_dot_product() else "yes"
    options = ["--keep", "conv1_1", "classifier", "--vnni", other, "--test-images", 30, "--threads", 1]
    options += ["--rounds", 3, 2, "--results", tmp_path / "results"]
    run(deploy, trained.checkpoint, "--data", trained.data, "--out", tmp_path / "out", *options)
    report, said = read_report(tmp_path / "out" / "deploy.json"), " ".join(capsys.readouterr().out.split())
    assert (report.kept, report.vnni) == (("conv1_1", "classifier"), other == "yes")
    assert [(name, variant.test.images) for name, variant in report.variants.items()] == [(name, 30) for name in chosen]
    assert "in fp32 there: the pooled product and its root, conv1_1, classifier" in said
    assert f"This processor does not compute {', '.join(name for name in VARIANTS if name not in chosen)}." in said

    times, narrow, dense = report.times, trained.info.card.spec, total_cost(trained.info.unpruned, SIDE).macs
    assert times is not None
    macs = {DENSE: dense, SILENCED: dense, "torch": total_cost(narrow, SIDE).macs}
    macs["openvino-int8"] = total_cost(narrow, SIDE, folded=True).macs
    assert list(times.ways) == list(macs)
    for name, timings in times.ways.items():
        assert [(timing.latency.batch, timing.latency.rounds, timing.latency.threads) for timing in timings] == [
            (1, 3, 1),
            (8, 2, 1),
        ]
        for timing in timings:
            assert timing.macs == macs[name]
            ratio = timing.speed_up
            assert 0 < ratio.lower_quartile <= ratio.median <= ratio.upper_quartile
            flops = 2 * timing.macs * timing.latency.batch / (timing.latency.median_ms / 1e3)
            assert times.share_of_peak(timing) == pytest.approx(flops / 1e9 / times.peak_gflops)
            assert f"{timing.latency.median_ms:.2f} [" in said
            assert f"{ratio.median:.2f} [" in said
    assert {timing.speed_up for timing in times.ways[DENSE]} == {SpeedUp(1, 1, 1)}
    assert times.at("torch", 8) == times.ways["torch"][1]
    assert times.at("torch", 2) is times.at("none", 1) is None

    (copy,) = (tmp_path / "results").rglob("*.json")
    assert copy == tmp_path / "results" / "deploy" / "drawn-cars4" / f"{trained.folder.name}.json"
    assert read_report(copy) == report
    assert runs.read(tmp_path / "results") == {}  # no record of a run

    write_text(copy, to_json(replace(report, checkpoint="of another network")))
    with pytest.raises(SystemExit, match="2"):
        run(deploy, trained.checkpoint, "--data", trained.data, "--out", tmp_path / "out", *options)
    assert f"--results: {copy} is the report of another checkpoint: move it away" in capsys.readouterr().err


def test_a_runtime_that_cannot_be_timed_stops_the_command(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variant_latency, "run_module_isolated", lambda *_arguments, **_options: '{"fp32": 1}')
    with pytest.raises(LatencyError, match=r"onnx cannot be timed: FileNotFoundError: .*model.onnx does not exist"):
        variant_latency.measure(trained.checkpoint, tmp_path, ("onnx",), (1, 0), 1, lambda *_: None)


@pytest.mark.parametrize(
    "model", ["model.safetensors", *(f"deployed/model{kind}" for kind in (".onnx", "-int8.onnx", ".xml", "-int8.xml"))]
)
def test_every_format_names_the_class_of_every_kind_of_image(
    model: str, trained: Trained, deployed: Deployed, images: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run(predict, trained.folder / model, *images.values(), "--threads", 1, "--batch", 4)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(images)
    for line, path in zip(lines, images.values(), strict=True):
        file, classes = line.split(": ")
        assert file == str(path)
        best = [word.rsplit(" ", 1) for word in classes.split(", ")]
        assert len(best) == 3
        assert best[0][0] == "stripes 1", line
        shares = [float(share) for _, share in best]
        assert shares == sorted(shares, reverse=True)
        assert shares[0] > 0.8  # sure enough that int8 names the same
        assert sum(shares) <= 1.002


def test_a_folder_stands_for_the_images_in_it_and_a_turned_one_is_named_as_the_upright_one(
    trained: Trained, images: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    with Image.open(images["photo.jpg"]) as upright:
        (tmp_path / "deep").mkdir()
        upright.save(tmp_path / "a.png")
        upright.rotate(90, expand=True).save(tmp_path / "deep" / "b.png", exif=exif)
        upright.rotate(90, expand=True).save(tmp_path / "deep" / "c.png")
    (tmp_path / "notes.txt").write_text("no image")
    run(predict, trained.checkpoint, tmp_path, images["rgb.png"], "--threads", 1)
    named = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert list(named) == [
        *(str(tmp_path / name) for name in ("a.png", "deep/b.png", "deep/c.png")),
        str(images["rgb.png"]),
    ]
    a, b, c, _ = named.values()
    assert a == b != c


def test_numbers_that_are_not_finite_are_refused_and_leave_what_was_deployed_before(
    trained: Trained, deployed: Deployed, images: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = copy.deepcopy(trained.model), tmp_path / "out"
    out.mkdir()
    for name in ("model-int8.onnx", "deploy.json"):
        (out / name).write_text("older")
    arguments = ("--data", trained.data, "--out", out, "--threads", 1)
    checkpoint = tmp_path / "model.safetensors"
    for bias, says in (
        (torch.nan, "classifier.weight holds numbers that are not finite"),
        (3e38, "images are not finite"),
    ):
        # The second: finite numbers whose sum is not.
        model.classifier.bias.data.fill_(bias)
        model.classifier.weight.data.fill_(bias)
        save(checkpoint, model, trained.info)
        assert says in refused(deploy, capsys, checkpoint, *arguments)
        assert [path.read_text() for path in out.iterdir()] == ["older", "older"]
    assert "the logits of " in refused(predict, capsys, checkpoint, images["rgb.png"], "--threads", 1)

    graph = onnx.load(deployed.folder / "model.onnx")
    bias = next(tensor for tensor in graph.graph.initializer if tensor.dims == [len(trained.info.card.class_names)])
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(bias.dims, np.nan, np.float32), bias.name))
    onnx.save(graph, tmp_path / "nan.onnx")
    says = refused(predict, capsys, tmp_path / "nan.onnx", *images.values(), "--threads", 1)
    assert f"the logits of {images['rgb.png']} are not finite" in says


def test_the_folder_beside_a_checkpoint_that_is_in_the_way_names_the_option_for_another(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / trained.checkpoint.name
    checkpoint.write_bytes(trained.checkpoint.read_bytes())
    (tmp_path / "deployed").touch()
    says = refused(deploy, capsys, checkpoint, "--data", trained.data, "--threads", 1)
    assert says.startswith("error: --out: ")
    assert f"({tmp_path / 'deployed'} is no folder): name another folder" in says


def test_a_deployment_that_is_broken_off_leaves_what_was_deployed_before(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = {"model.onnx": "older", "deploy.json": "older", "notes.txt": "mine"}
    for name, text in older.items():
        (tmp_path / name).write_text(text)

    def half(folder: Path, *_: object) -> None:
        (folder / "model.onnx").write_text("newer")
        raise KeyboardInterrupt

    monkeypatch.setattr(deploy, "write_variants", half)
    with pytest.raises(SystemExit, match="130"):
        run(deploy, trained.checkpoint, "--data", trained.data, "--out", tmp_path, "--threads", 1)
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.name != ".lock"} == older


@pytest.mark.parametrize("name", ["model.onnx", "model-int8.bin"])
def test_another_network_is_not_replaced(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).write_text("mine")
    says = refused(deploy, capsys, trained.checkpoint, "--data", trained.data, "--out", tmp_path, "--threads", 1)
    assert says == f"error: --out: {tmp_path / name} would be replaced: name another folder, or delete it\n"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "mine"}


def test_a_full_memory_of_onnx_runtime_is_said_to_be_one(
    deployed: Deployed, images: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise onnxruntime.capi.onnxruntime_pybind11_state.Fail("Failed to allocate memory for requested buffer")

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", full)
    with pytest.raises(SystemExit, match="1"):
        run(predict, deployed.folder / "model.onnx", images["rgb.png"], "--threads", 1)
    assert capsys.readouterr().err.startswith("stopped: memory is full. ")


def test_each_layer_alone_is_left_in_fp32_and_val_chooses(
    trained: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, quantise = list[tuple[str, ...]](), int8_layers.onnx_int8

    def spoiled(graph: onnx.ModelProto, batches: Calibration, keep: tuple[str, ...], vnni: bool) -> onnx.ModelProto:
        asked.append(keep)
        if keep not in ((), ("conv3_1",), ("classifier",)):  # the others would tell no more, and take seconds each
            return graph_without_sense(graph)
        return quantise(graph if "conv3_1" in keep else graph_without_sense(graph), batches, keep, vnni)

    monkeypatch.setattr(int8_layers, "onnx_int8", spoiled)
    run(int8_layers, trained.checkpoint, "--data", trained.data, "--threads", 1)
    output = " ".join(capsys.readouterr().out.split())
    assert asked == [(), *((layer,) for layer in trained.info.card.spec.layers), ("classifier",)]
    assert "conv3_1 recovers most: experiments.deploy … --keep conv3_1" in output
    assert "48/48" in output


def graph_without_sense(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The classifier's weights turned round: as far from its classes as can be."""
    changed = onnx.ModelProto()
    changed.CopyFrom(graph)
    (classifier,) = (node for node in changed.graph.node if node.name == "classifier")
    weight = next(tensor for tensor in changed.graph.initializer if tensor.name == classifier.input[1])
    weight.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(weight), weight.name))
    return changed


def test_among_layers_with_as_many_right_the_nearest_logits_choose() -> None:
    def report(correct: int, difference: float) -> VariantReport:
        return VariantReport(1, Evaluation(9, correct), 9, difference)

    assert int8_layers.best({"none": report(5, 0.1), "conv1_1": report(7, 0.3), "conv1_2": report(7, 0.2)}) == "conv1_2"
    assert int8_layers.best({"none": report(7, 0.1), "conv1_1": report(7, 0.3), "conv1_2": report(6, 0)}) == "none"


def test_probabilities_are_those_of_the_logits() -> None:
    logits = np.array([[0.0, 1.0, -1.0], [1000.0, 1000.0, 0.0]], np.float32)
    e = np.e
    expected = [[1 / (1 + e + 1 / e), e / (1 + e + 1 / e), 1 / e / (1 + e + 1 / e)], [0.5, 0.5, 0]]
    np.testing.assert_allclose(predict.probabilities(logits), expected, rtol=1e-7)


def test_an_image_is_one_line_whatever_its_class_is_called(images: dict[str, Path]) -> None:
    card = ModelCard(ModelSpec.of("vgg16", 2, 0.05, side=32), ("two\nlines", "one"), "birds50", 32)
    lines = predict.named(
        LoadedModel(lambda batch: np.array([[1, 0]], np.float32), card), [images["rgb.png"]], banner=0
    )
    assert lines == [f"{images['rgb.png']}: two lines 0.731, one 0.269"]


def test_a_file_keeps_its_name_but_for_line_breaks(images: dict[str, Path], tmp_path: Path) -> None:
    card = ModelCard(ModelSpec.of("vgg16", 2, 0.05, side=32), ("a", "b"), "birds50", 32)
    path = tmp_path / "IMG  1\n.png"
    path.write_bytes(images["rgb.png"].read_bytes())
    (line,) = predict.named(LoadedModel(lambda batch: np.array([[1, 0]], np.float32), card), [path], banner=0)
    assert line == f"{tmp_path}/IMG  1 .png: a 0.731, b 0.269"


def refused(command: ModuleType, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The line on stderr with which the command refuses."""
    with pytest.raises(SystemExit) as left:
        run(command, *arguments)
    assert left.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    return output.err


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("none.png", "none.png is missing"),
        ("text.png", "text.png is no image"),
        ("cut.png", "cut.png cannot be read"),
        ("cut.jpg", "cut.jpg cannot be read"),
        ("deep.tiff", "its pixels have 32 bits"),
        ("folder", "folder holds no image: looked for files that end in"),
    ],
)
def test_an_image_that_is_none_is_refused_before_any_output(
    file: str,
    message: str,
    trained: Trained,
    tmp_path: Path,
    images: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "text.png").write_text("no image")
    for name, source in (("cut.png", "rgb.png"), ("cut.jpg", "photo.jpg")):
        whole = images[source].read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "deep.tiff")
    (tmp_path / "folder").mkdir()
    assert message in refused(predict, capsys, trained.checkpoint, images["rgb.png"], tmp_path / file)


def test_predict_refuses_bad_arguments(
    trained: Trained, images: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, image = trained.checkpoint, images["rgb.png"]
    assert "no image: name one or more files" in refused(predict, capsys, checkpoint)
    assert "set.h5 is no network: take a file" in refused(predict, capsys, trained.data, image)
    assert "none.onnx does not exist" in refused(predict, capsys, trained.folder / "none.onnx", image)
    assert "is a folder: name the file in it" in refused(predict, capsys, trained.folder, image)
    assert "--batch is 0: take 1 or more" in refused(predict, capsys, checkpoint, image, "--batch", 0)
    assert "--threads is 0: take 1 or more" in refused(predict, capsys, checkpoint, image, "--threads", 0)
    assert "--threads is 1,025: take at most 1,024" in refused(predict, capsys, checkpoint, image, "--threads", 1025)
    assert "it is 16 px high, with a banner of 16 px" in refused(predict, capsys, checkpoint, image, "--banner", SIDE)


def test_a_set_that_was_split_anew_is_refused_unless_it_is_named(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    path, console = tmp_path / "data" / "drawn-cars4.h5", Console(file=StringIO(), width=1000)
    card = replace(draw(path), data_digest="of before")
    settings = CheckpointSettings(checkpoint=trained.checkpoint)
    with pytest.raises(ValueError, match="its test images may be training images"):
        settings.find_images(card, console)
    found, _ = replace(settings, data=path).find_images(card, console)
    assert found == path
    assert "Warning" in console.file.getvalue()  # type: ignore[attr-defined]
    now = describe(path).digest
    settings.find_images(replace(card, data_digest=now), console)


def test_deploy_refuses_bad_arguments_and_writes_nothing(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, data = trained.checkpoint, ("--data", trained.data)
    arguments = (*data, "--out", tmp_path / "out")
    assert "no layer conv9_9 to keep" in refused(deploy, capsys, checkpoint, *arguments, "--keep", "conv9_9")
    assert "--test-images is 0: take 1 or more" in refused(deploy, capsys, checkpoint, *arguments, "--test-images", 0)
    assert "none.safetensors does not exist" in refused(deploy, capsys, tmp_path / "none.safetensors", *arguments)
    assert "is a folder: name the file in it" in refused(deploy, capsys, trained.folder, *arguments)
    assert "no safetensors file, or it is damaged" in refused(deploy, capsys, trained.data, *arguments)
    stripes(tmp_path / "other.h5", "drawn-cars4", classes=3)
    other = ("--data", tmp_path / "other.h5", "--out", tmp_path / "out")
    assert "other classes than the checkpoint" in refused(deploy, capsys, checkpoint, *other)
    stripes(tmp_path / "other.h5", "drawn-cars4", classes=4, side=24)
    assert "holds images of 24 px, the checkpoint takes 16 px" in refused(deploy, capsys, checkpoint, *other)
    assert "--rounds is 0 0: take one count for batch 1" in refused(
        deploy, capsys, checkpoint, *arguments, "--rounds", 0, 0
    )
    for value, limit in ((-1, "0 or more"), (10**20, "at most")):
        line = refused(deploy, capsys, checkpoint, *arguments, "--rounds", value, 2)
        assert f"--rounds is {value:.12g}: take {limit}" in line
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name in ("onnx", "nncf") else name)
    assert "this needs onnx, nncf: pip install onnx nncf, or" in refused(deploy, capsys, checkpoint, *arguments)
    assert not (tmp_path / "out").exists()
