"""The public API, from nowhere but `import bcnn_prune as bp`: create, fit, score, select, prune, evaluate, export."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import bcnn_prune as bp
from bcnn_prune.compression import storage
from bcnn_prune.deployment.registry import open_any
from bcnn_prune.model import checkpoint

ROOT = Path(__file__).parents[1]
RECIPE = bp.Recipe(epochs=2, learning_rate=0.01, batch=8, schedule="cosine", augment=bp.Augmentation(), sparsity=1e-3)


def images(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return pixels, torch.arange(count) % 3


def loader(count: int) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(TensorDataset(*images(count)), batch_size=8)


def test_from_a_new_network_to_an_exported_one(tmp_path: Path) -> None:
    model = bp.create("vgg11", classes=3, width=0.1)
    epochs = []
    history = bp.fit(model, loader(20), RECIPE, validate=loader(9), report=epochs.append)
    assert [stats.epoch for stats in epochs] == [1, 2]
    assert history.epochs[-1].train.images == 20
    plan = bp.select(bp.score(model, "bn-scale"), drop=0.4, min_channels=2)
    sample = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    small = bp.prune(model, plan, check=sample)
    assert sum(map(len, plan.kept.values())) == model.spec.channels - round(0.4 * model.spec.channels)
    assert bp.cost(small, side=32).params < bp.cost(model, side=32).params
    assert bp.cost(small, side=32).params == sum(tensor.numel() for tensor in small.parameters())
    pixels, labels = images(24)
    small = bp.recalibrate(small, [pixels])
    evaluation = bp.evaluate(small, loader(24))
    again = bp.recalibrate(small, [(pixels, labels)])
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in small.state_dict().items())
    with torch.no_grad():
        named = small.eval()(pixels / 127.5 - 1).argmax(1)
    assert evaluation == bp.Evaluation(24, int((named == labels).sum()))
    bp.save(tmp_path / "small.safetensors", small, class_names=("a", "b", "c"), side=32)
    again = bp.load(tmp_path / "small.safetensors")
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in small.state_dict().items())
    bp.export(tmp_path / "small.onnx", again, class_names=("a", "b", "c"), side=32)
    session = onnxruntime.InferenceSession(tmp_path / "small.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"pixels": pixels.permute(0, 2, 3, 1).contiguous().numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), again(pixels / 127.5 - 1).detach(), rtol=1e-3, atol=1e-3)


def test_a_packed_file_is_loaded_too(tmp_path: Path) -> None:
    model = bp.create("vgg11", classes=3, width=0.1)
    bp.save(tmp_path / "model.safetensors", model, side=32)
    _, about = checkpoint.load(tmp_path / "model.safetensors")
    storage.save(tmp_path / "model.packed", model, about.card)
    loaded = bp.load(tmp_path / "model.packed")
    assert not loaded.training
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_normalised_images_are_taken_as_they_are() -> None:
    pixels, labels = images(16)
    model = bp.create("vgg11", classes=3, width=0.1)
    assert bp.evaluate(model, [(pixels, labels)]) == bp.evaluate(model, [(pixels / 127.5 - 1, labels)])
    plain = bp.Recipe(
        epochs=1, learning_rate=0.01, batch=8, schedule="cosine", augment=bp.Augmentation(flip=False), keep="last"
    )
    networks = [bp.create("vgg11", classes=3, width=0.1) for _ in range(2)]
    for network, data in zip(networks, (pixels, pixels / 127.5 - 1), strict=True):
        batches = [(data[:8], labels[:8]), (data[8:], labels[8:])]
        bp.fit(network, batches, plain, validate=batches)
    one, other = (network.state_dict() for network in networks)
    for name in one:  # bytes are normalised in another place
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-4)


def test_files_normalise_as_the_training_did(tmp_path: Path) -> None:
    model, (pixels, _) = bp.create("vgg11", classes=3, width=0.1).eval(), images(4)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = model((pixels / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]).detach()
    for write, name in ((bp.save, "model.safetensors"), (bp.export, "model.onnx")):
        write(tmp_path / name, model, side=32, mean=mean, std=std)
        opened = open_any(tmp_path / name, threads=1)
        logits = torch.from_numpy(opened.run(pixels.permute(0, 2, 3, 1).contiguous().numpy()))
        torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)
        with pytest.raises(ValueError, match="those of std above 0"):
            write(tmp_path / name, model, side=32, std=(1, 1, 0))


def test_a_network_learns_from_the_outputs_of_another() -> None:
    recipe = replace(RECIPE, distillation=bp.Distillation(temperature=4, weight=0.9))
    teacher = bp.create("vgg11", classes=3, width=0.1)
    history = bp.fit(bp.create("vgg11", 3, 0.05), loader(16), recipe, validate=loader(9), teacher=teacher)
    assert all(stats.label_loss is not None for stats in history.epochs)


def test_evaluating_reads_a_loader_once() -> None:
    class Counting(list[tuple[Tensor, Tensor]]):
        passes = 0
        """Whole ones: checking types looks at a first batch."""

        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            yield from super().__iter__()
            self.passes += 1

    batches = Counting([images(8), images(4, seed=1)])
    assert bp.evaluate(bp.create("vgg11", classes=3, width=0.1), batches).images == 12
    assert batches.passes == 1


def test_exporting_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    model = bp.create("vgg11", classes=3, width=0.1).train()
    bp.export(tmp_path / "model.onnx", model, side=32)
    assert model.training


def test_a_criterion_may_be_a_function() -> None:
    model = bp.create("vgg11", classes=3, width=0.1)
    plan = bp.select(bp.score(model, lambda net: {k: norm.bias.detach() for k, norm in net.norms.items()}), drop=0.2)
    assert isinstance(plan, bp.ChannelPlan)
    for criterion in bp.CRITERIA:
        scores = bp.score(model, criterion, [images(8)])
        assert {layer: len(values) for layer, values in scores.items()} == model.spec.width_of


def test_a_rule_protects_its_own_share_of_every_layer() -> None:
    scores = {"conv1": torch.linspace(0.9, 1, 40), "conv2": torch.tensor([10.0, *[0.001] * 39])}
    for rule, share, left in (("mean", None, 4), ("thesis", None, 1), ("mean", 0.2, 8), ("mean", 0.0, 1)):
        plan = bp.select(scores, 0.5, min_channels=1, rule=rule, min_share=share)
        assert len(plan.kept["conv2"]) == left


def test_a_network_for_one_side_says_so(tmp_path: Path) -> None:
    model = bp.create("cifar-cnn", classes=3, head="flatten", side=32)
    bp.save(tmp_path / "model.safetensors", model)
    assert checkpoint.load(tmp_path / "model.safetensors")[1].card.side == 32
    with pytest.raises(ValueError, match="the dense layers of this network are for images of 32 px, not 64"):
        bp.save(tmp_path / "model.safetensors", model, side=64)


def test_what_cannot_work_is_refused() -> None:
    model = bp.create("vgg11", classes=3, width=0.1)

    def once() -> Iterator[tuple[Tensor, Tensor]]:
        yield images(8)

    with pytest.raises(ValueError, match="can be read only once: give a DataLoader"):
        bp.evaluate(model, once())
    with pytest.raises(ValueError, match="only the last may be smaller"):
        bp.fit(model, [images(3), images(8)], RECIPE, validate=[images(8)])
    with pytest.raises(ValueError, match="no backbone resnet18"):
        bp.create("resnet18", classes=3)
    with pytest.raises(ValueError, match="no criterion gamma: take bn-scale"):
        bp.score(model, "gamma")
    with pytest.raises(ValueError, match=r"ends in \.onnx or \.xml"):
        bp.export("small.pt", model)
    with pytest.raises(AttributeError, match="no public name trian"):
        bp.trian  # noqa: B018


def test_every_public_name_is_there() -> None:
    assert all(getattr(bp, name) is not None for name in bp.__all__)
    assert set(bp.__all__) <= set(dir(bp))


@pytest.mark.parametrize("module", ["bcnn_prune", "bcnn_prune.records", "bcnn_prune.plan", "bcnn_prune.metadata"])
def test_nouns_load_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_dropout_is_drawn_from_the_seed() -> None:
    def loss(seed: int) -> float:
        model = bp.create("cifar-cnn", classes=3, width=0.25, head="flatten", side=32)
        recipe = replace(RECIPE, sparsity=0, last_sparsity=0)
        return bp.fit(model, loader(20), recipe, validate=loader(9), seed=seed).epochs[-1].loss

    torch.manual_seed(1)
    first = loss(0)
    torch.manual_seed(2)
    assert loss(0) == first != loss(1)


def test_every_module_is_left_in_its_mode() -> None:
    model = bp.create("vgg11", classes=3, width=0.1).train()
    frozen = model.norms["conv1_1"].eval()
    pixels, _ = images(8)
    bp.evaluate(model, loader(8))
    bp.score(model, "taylor", loader(8))
    again = bp.recalibrate(model, [pixels])
    small = bp.prune(model, bp.select(bp.score(model, "bn-scale"), drop=0.2, min_channels=2), check=pixels / 127.5 - 1)
    assert model.training
    assert small.training
    assert not frozen.training
    assert not again.norms["conv1_1"].training
    assert all(norm.training for name, norm in model.norms.items() if name != "conv1_1")


@pytest.mark.parametrize("rule", bp.RULES)
@pytest.mark.parametrize("zeros", [0, 0.4, 1])
def test_channels_that_groups_share_go_together_and_as_many_as_asked_for(rule: str, zeros: float) -> None:
    """Also where their scores tie, as those that L1 brought to zero do."""
    model = bp.create("small-cnn-grouped", classes=3, head="flatten", side=32)
    drawn = torch.Generator().manual_seed(0)
    scores = {
        layer: torch.rand(width, generator=drawn) * (torch.arange(width) % 4 >= 4 * zeros)
        for layer, width in model.spec.width_of.items()
    }
    plan = bp.select(bp.score(model, lambda _: scores), drop=0.5, min_channels=4, rule=rule)
    small = bp.prune(model, plan)
    assert small.spec.channels == pytest.approx(model.spec.channels / 2, abs=16)


def test_training_leaves_the_modes_of_before_and_no_gradients() -> None:
    for trains in ("all", "classifier"):
        model = bp.create("vgg11", classes=3, width=0.1).eval()
        kept = model.norms["conv2_1"].train()
        bp.fit(model, loader(16), replace(RECIPE, trains=trains, sparsity=0), validate=loader(9))
        assert [module for module in model.modules() if module.training] == [kept]
        assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_statistics_are_those_of_all_images_whatever_the_batches() -> None:
    """With one image of its own last batch, which must not count as much as the batch before it."""
    pixels, _ = images(33)
    pixels[32] = 255
    norms = [
        bp.recalibrate(bp.create("vgg11", classes=3, width=0.1), batches).norms["conv1_1"]
        for batches in ([pixels], [pixels[:32], pixels[32:]], [pixels[32:], pixels[:0], pixels[:32]])
    ]
    for norm in norms[1:]:
        torch.testing.assert_close(norm.running_mean, norms[0].running_mean)


def test_a_pruned_copy_keeps_what_is_frozen_and_the_numbers_of_batch_norm() -> None:
    model = bp.create("vgg11", classes=3, width=0.1).eval()
    model.trunk.requires_grad_(False)
    for norm in model.norms.values():
        norm.eps, norm.momentum = 1e-2, 0.2
    plan = bp.select(bp.score(model, "bn-scale"), drop=0.2, min_channels=2)
    small = bp.prune(model, plan, check=torch.randn(2, 3, 32, 32))
    assert {name: tensor.requires_grad for name, tensor in small.named_parameters()} == {
        name: tensor.requires_grad for name, tensor in model.named_parameters()
    }
    assert all((norm.eps, norm.momentum) == (1e-2, 0.2) for norm in small.norms.values())


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((images(4)[0], torch.arange(1, 5)), "labels are 1 to 4: take 0 to 2"),
        ((images(4)[0], torch.full((4,), -100)), "labels are -100 to -100"),
        ((images(4)[0], torch.arange(3)), r"labels of shape \(3,\) do not fit 4 images"),
        ((images(4)[0],), "a batch holds Tensor: "),
        ((images(4)[0].double(), torch.zeros(4).long()), "images are torch.float64: take uint8"),
        ((images(4)[0].movedim(1, 3), torch.zeros(4).long()), r"images are of shape \(4, 32, 32, 3\): take \(batch, 3"),
        ((images(4)[0][..., :8], torch.zeros(4).long()), "needs maps of 2 px"),
    ],
)
def test_a_batch_that_cannot_be_trained_on_is_refused_wherever_it_is_given(batch: object, message: str) -> None:
    model = bp.create("vgg11", classes=3, width=0.1)
    for given in (
        lambda: bp.fit(model, [batch], RECIPE, validate=loader(9)),
        lambda: bp.fit(model, loader(8), RECIPE, validate=[batch]),
        lambda: bp.evaluate(model, [batch]),
        lambda: bp.score(model, "taylor", [batch]),
    ):
        with pytest.raises(ValueError, match=message):
            given()
    if "images are" in message:
        for given in (lambda: bp.recalibrate(model, [batch]), lambda: bp.recalibrate(model, [batch[0]])):
            with pytest.raises(ValueError, match=message):
                given()


def test_labels_may_be_of_any_whole_type() -> None:
    model, (pixels, labels) = bp.create("vgg11", classes=3, width=0.1), images(8)
    told = [bp.evaluate(model, [(pixels, labels.to(dtype))]) for dtype in (torch.int64, torch.int32, torch.uint8)]
    assert told[0] == told[1] == told[2]


def test_a_network_that_cannot_be_used_is_written_over_none(tmp_path: Path) -> None:
    model = bp.create("vgg11", classes=3, width=0.1)
    path = tmp_path / "model.safetensors"
    bp.save(path, model, side=32)
    before = path.read_bytes()
    refusals: list[tuple[dict[str, object], str]] = [
        ({"side": 0}, "take 1 or more|have no pixel"),
        ({"side": 4}, "needs maps of 2 px"),
        ({"class_names": "abc"}, "names of classes are no list of texts"),
    ]
    for settings, message in refusals:
        for write, name in ((bp.save, path), (bp.export, tmp_path / "model.onnx")):
            with pytest.raises(ValueError, match=message):
                write(name, model, **settings)
    with torch.no_grad():
        model.classifier.bias[0] = float("nan")
    for write, name in ((bp.save, path), (bp.export, tmp_path / "model.onnx")):
        with pytest.raises(ValueError, match=r"classifier\.bias holds numbers that are not finite"):
            write(name, model, side=32)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_cannot_give_a_result_is_refused() -> None:
    model, pixels = bp.create("vgg11", classes=3, width=0.1), images(4)[0]
    scores = bp.score(model, "bn-scale")
    plan = bp.select(scores, drop=0.2, min_channels=2)
    broken = {**scores, "conv1_1": scores["conv1_1"] * float("nan")}
    below = {layer: values - 1 for layer, values in scores.items()}
    wrong_labels = [(pixels, torch.zeros(4))]
    for refused, message in (
        (lambda: bp.recalibrate(model, []), "no images to average BN statistics over"),
        (lambda: bp.score(model, "taylor"), "this criterion looks at images, and there are none"),
        (lambda: bp.score(model, "fisher", iter(())), "this criterion looks at images, and there are none"),
        (lambda: bp.select(broken, drop=0.2), "scores of conv1_1 are not finite"),
        (lambda: bp.select(broken, drop=0.2, rule="rank"), "scores of conv1_1 are not finite"),
        (lambda: bp.score(model, lambda _: {"conv1_1": torch.rand(2)}), "conv1_1 has 6 channels, and 2 scores"),
        (
            lambda: bp.score(model, lambda _: {"conv9": torch.rand(2)}),
            "conv9, which is no prunable layer: take",
        ),
        (lambda: bp.evaluate(model, wrong_labels), "labels are torch.float32: take the numbers of classes"),
        (lambda: bp.cost(model, side=0), "images of 0 px have no pixel"),
        (lambda: bp.score(model, lambda _: None), "the criterion gives NoneType: let it give scores by layer"),
        (lambda: bp.score(model, lambda _: {"conv1_1": torch.rand(6, 2)}), "6 channels, and 6 × 2 scores"),
        (lambda: bp.prune(model, bp.ChannelPlan({"conv9": (0,)})), "the plan has a layer conv9, the network does not"),
        (
            lambda: bp.prune(bp.create("vgg11", 3, 0.1).half(), plan, check=pixels / 127.5 - 1),
            "the weights are torch.float16",
        ),
        (lambda: bp.export("x.onnx", bp.create("vgg11", width=0.1).double()), "the weights are torch.float64"),
        (lambda: bp.select(below, drop=0.2, rule="lamp"), "the rule lamp takes no scores below zero"),
        (lambda: bp.prune(model, plan, check=pixels[:0] / 127.5), "there is no image to check on"),
        (lambda: bp.evaluate(bp.create("vgg11", width=0.1).half(), loader(4)), "the weights are torch.float16"),
        (
            lambda: model.spec.with_forms({"conv1_1": ("grouped", 8)}),
            "image has 3 channels, which 4 groups cannot share",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            refused()
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="taylor differentiates by γ and β, and some are frozen"):
        bp.score(model, "taylor", loader(4))
