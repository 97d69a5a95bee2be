"""Weights in and out: both public layouts, checkpoints that come back the same, and files that must not be trusted."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from bcnn_prune.backbones import BACKBONES
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.checkpoint import CheckpointInfo, load, save
from bcnn_prune.model.init import fresh, from_file, imagenet
from bcnn_prune.model.pretrained_files import published_layout, read_trunk, widths_in
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.surgery import rebuild
from bcnn_prune.spec import ModelSpec
from tests.helpers.permissions import ordinary_user
from tests.helpers.strategies import TINY, random_images, random_model, small_network

VGG11 = ModelSpec.of("vgg11", 3)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def vgg11() -> torch.nn.Module:
    torch.manual_seed(0)
    return torchvision.models.vgg11_bn().eval()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_torchvision_file_gives_its_trunk(vgg11: torch.nn.Module, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"vgg{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(vgg11.state_dict(), path)
    model = from_file(path, VGG11, generator()).eval()
    images = torch.randn(1, 3, 32, 32)
    assert torch.equal(model.trunk(images), vgg11.features[:-1](images))


def test_a_timm_file_gives_its_trunk(tmp_path: Path) -> None:
    theirs = timm.create_model("vgg11_bn", num_classes=0).eval()
    torch.save(theirs.state_dict(), tmp_path / "vgg.pth")
    images = torch.randn(1, 3, 32, 32)
    model = from_file(tmp_path / "vgg.pth", VGG11, generator()).eval()
    assert torch.equal(model.trunk(images), theirs.features[:-1](images))


@pytest.fixture(scope="module")
def mobilenet() -> torch.nn.Module:
    """timm's, random, its statistics and shifts no round values."""
    torch.manual_seed(0)
    theirs = timm.create_model("mobilenetv1_100").eval()
    for name, tensor in theirs.state_dict().items():
        if "bn" in name and "tracked" not in name:
            tensor += torch.rand_like(tensor)
    return theirs.double()


@torch.no_grad()
def test_timms_mobilenet_gives_its_trunk(mobilenet: torch.nn.Module, tmp_path: Path) -> None:
    torch.save(mobilenet.state_dict(), tmp_path / "mobilenet.pth")
    spec = ModelSpec.of("mobilenet-relu6", 3, head="reduced")
    model = from_file(tmp_path / "mobilenet.pth", spec, generator())
    images = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    maps = mobilenet.forward_features(images)  # type: ignore[operator]
    trunk = model.double().eval().trunk[: list(spec.bare.trunk).index("relu14_pw") + 1]
    assert maps.std() > 0.1
    torch.testing.assert_close(trunk(images), maps, rtol=1e-9, atol=1e-9)
    for name, batch in zip(("bn1", "bn14_pw"), ("bn1", "blocks.4.1.bn2"), strict=True):
        theirs, ours = mobilenet.get_submodule(batch), model.layer(name)
        for part in ("weight", "bias", "running_mean", "running_var"):
            assert torch.equal(getattr(ours, part), getattr(theirs, part))


def test_timms_mobilenet_is_refused_where_the_activation_is_another(mobilenet: torch.nn.Module, tmp_path: Path) -> None:
    """Beyond 6 it would compute something else than what its weights were trained for."""
    torch.save(mobilenet.state_dict(), tmp_path / "mobilenet.pth")
    for backbone in ("mobilenet", "vgg16"):
        with pytest.raises(
            ValueError, match=r"it holds a mobilenet-relu6 with BatchNorm, .*--backbone mobilenet-relu6"
        ):
            from_file(tmp_path / "mobilenet.pth", ModelSpec.of(backbone, 3), generator())


@pytest.mark.parametrize("backbone", [name for name in BACKBONES if BACKBONES[name].published is None])
def test_a_backbone_without_imagenet_weights_names_those_with(backbone: str) -> None:
    with pytest.raises(ValueError, match=f"no ImageNet weights for {backbone}: take --weights none, or one of vgg11, "):
        imagenet(ModelSpec.of(backbone, 3), generator())


def test_imagenet_weights_of_a_mobilenet_are_those_with_batch_norm() -> None:
    with pytest.raises(ValueError, match="no ImageNet weights for mobilenet-relu6 without BatchNorm: take --weights"):
        imagenet(ModelSpec.of("mobilenet-relu6", 3, batch_norm=False), generator())


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("batch_norm", [True, False], ids=["BatchNorm", "plain"])
def test_a_trunk_that_is_written_is_read_again(backbone: str, batch_norm: bool, tmp_path: Path) -> None:
    spec = small_network(backbone, "average", batch_norm)
    model = random_model(spec)
    save_file(published_layout(model), tmp_path / "trunk.safetensors")
    found = read_trunk(tmp_path / "trunk.safetensors", small_network(backbone, "isqrt", batch_norm))
    wanted = model.trunk.state_dict()
    assert set(found) == {name for name in wanted if "tracked" not in name}
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in found.items())
    assert widths_in(tmp_path / "trunk.safetensors", spec) == spec.widths


def test_a_network_without_batch_norm_takes_the_file_of_one(vgg11: torch.nn.Module, tmp_path: Path) -> None:
    spec = replace(VGG11, batch_norm=False)
    theirs = torchvision.models.vgg11().eval()
    torch.save(theirs.state_dict(), tmp_path / "vgg.pth")
    images = torch.randn(1, 3, 32, 32)
    model = from_file(tmp_path / "vgg.pth", spec, generator()).eval()
    assert torch.equal(model.trunk(images), theirs.features[:-1](images))


def test_imagenet_weights_need_the_full_width() -> None:
    with pytest.raises(ValueError, match="take --width 1"):
        imagenet(TINY, generator())


class Attack:
    """Unpickled, it would make a file: what any code could do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.open, (str(self.path), os.O_CREAT)


@pytest.mark.parametrize(
    "write", [lambda o, p: p.write_bytes(pickle.dumps(o, protocol=2)), torch.save], ids=["pickle", "torch"]
)
def test_a_malicious_pickle_is_refused_and_runs_nothing(write, tmp_path: Path) -> None:
    write({"features.0.weight": Attack(tmp_path / "harm")}, tmp_path / "vgg.pth")
    with pytest.raises(ValueError, match=r"vgg\.pth holds .*open beside or around its tensors, .* nothing was loaded"):
        from_file(tmp_path / "vgg.pth", VGG11, generator())
    with pytest.raises(ValueError, match=r"vgg\.pth is no safetensors file"):
        load(tmp_path / "vgg.pth")
    assert not (tmp_path / "harm").exists()


def info_of(spec: ModelSpec, plan: ChannelPlan) -> CheckpointInfo:
    return CheckpointInfo(ModelCard(plan.narrow(spec), ("a", "b", "ü"), "drawn-cars", side=16), spec, plan)


def test_a_checkpoint_comes_back_the_same(tmp_path: Path) -> None:
    plan = ChannelPlan({**ChannelPlan.keep_all(TINY).kept, "conv3_1": (1, 4)})
    model = rebuild(random_model(TINY).float(), plan)
    info = info_of(TINY, plan)
    save(tmp_path / "model.safetensors", model, info)
    again, card = load(tmp_path / "model.safetensors")
    assert card == info
    images = random_images().float()
    assert torch.equal(again.eval()(images), model.eval()(images))


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save(path, random_model(TINY).float(), info_of(TINY, ChannelPlan.keep_all(TINY)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"model\.safetensors is no safetensors file, or it is damaged"):
        load(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="no checkpoint of this project"):
        load(path)
    path.write_bytes(whole.replace(b'\\"side\\"', b'\\"tide\\"'))
    with pytest.raises(ValueError, match=r"does not describe a network: .*required field missing"):
        load(path)
    path.write_bytes(whole.replace(b'\\"version\\": 2', b'\\"version\\": 1'))
    with pytest.raises(ValueError, match=r"model\.safetensors: it has version 1, this program reads version 2"):
        load(path)
    path.write_bytes(whole.replace(b'\\"version\\": 2', b'\\"revision\\":2'))
    with pytest.raises(ValueError, match=r"model\.safetensors does not describe a network: it has no version"):
        load(path)
    with pytest.raises(FileNotFoundError, match="none does not exist"):
        load(tmp_path / "none")
    with pytest.raises(IsADirectoryError, match="is a folder: name the file in it"):
        load(tmp_path)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["trunk.conv2_1.weight", "trunk.bn3_1.running_var", "classifier.bias"])
def test_numbers_that_are_not_finite_are_refused(name: str, number: float, tmp_path: Path) -> None:
    model, path = random_model(TINY).float(), tmp_path / "model.safetensors"
    model.state_dict()[name].view(-1)[-1] = number
    save(path, model, info_of(TINY, ChannelPlan.keep_all(TINY)))
    with pytest.raises(ValueError, match=rf"model\.safetensors: {name} holds numbers that are not finite"):
        load(path)


def test_a_public_file_with_numbers_that_are_not_finite_is_refused(vgg11: torch.nn.Module, tmp_path: Path) -> None:
    state = {name: tensor.clone() for name, tensor in vgg11.state_dict().items()}
    state["classifier.6.bias"][0] = torch.nan  # which is not taken
    torch.save(state, tmp_path / "vgg.pth")
    from_file(tmp_path / "vgg.pth", VGG11, generator())
    state["features.4.weight"][0, 0] = torch.inf
    torch.save(state, tmp_path / "vgg.pth")
    with pytest.raises(ValueError, match=r"vgg\.pth: features\.4\.weight holds numbers that are not finite"):
        from_file(tmp_path / "vgg.pth", VGG11, generator())


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors", random_model(TINY).float(), info_of(TINY, ChannelPlan.keep_all(TINY)))
    content = (tmp_path / "model.safetensors").read_bytes()
    with ordinary_user() as home:
        path = home / "model.safetensors"
        path.write_bytes(content)
        load(path)
        path.chmod(0)
        for read in (load, lambda path: from_file(path, VGG11, generator())):
            with pytest.raises(PermissionError, match=r"model\.safetensors may not be read by you"):
                read(path)


def test_a_plan_that_does_not_lead_to_the_network_is_refused() -> None:
    plan = ChannelPlan({**ChannelPlan.keep_all(TINY).kept, "conv3_1": (1, 4)})
    info = info_of(TINY, plan)
    for changed in ({"plan": ChannelPlan.keep_all(TINY)}, {"unpruned": replace(TINY, classes=4)}):
        with pytest.raises(ValueError, match="the plan does not lead from the unpruned network to this one"):
            replace(info, **changed)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the plan keeps channel 4 of conv3_1, which has 3"):
        replace(info, unpruned=replace(TINY, widths=(3, 4, 3, 4, 6, 5, 4, 5)))


def test_fresh_weights_have_the_variance_of_he_by_outputs() -> None:
    model = fresh(ModelSpec.of("mobilenet", 3, 0.5), torch.Generator().manual_seed(0))
    for conv in (module for module in model.modules() if isinstance(module, torch.nn.Conv2d)):
        fan_out = conv.out_channels // conv.groups * conv.kernel_size[0] ** 2
        assert float(conv.weight.detach().std()) == pytest.approx((2 / fan_out) ** 0.5, rel=0.2)


def test_fresh_weights_depend_on_the_seed_alone() -> None:
    first, same, other = (fresh(TINY, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not torch.equal(first.classifier.weight, other.classifier.weight)
    assert all(bool((norm.weight == 0.5).all()) for norm in first.norms.values())
