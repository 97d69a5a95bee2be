"""A training step is one graph to torch.compile, which computes the same: in a process without checks of shapes, since
those are no part of the graph."""

import inspect
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from bcnn_prune.backbones import BACKBONES
from bcnn_prune.data.batches import ImageSplit
from bcnn_prune.distributed import SINGLE_PROCESS
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.records import Augmentation, Recipe
from bcnn_prune.spec import ModelSpec
from bcnn_prune.training import compiled
from bcnn_prune.training.fit import batch_losses


def one_graph() -> None:
    """Fails at a graph break; and where a compiled part gives other numbers than the part itself."""
    import copy

    import torch

    from bcnn_prune.data.augment import changed, draws
    from bcnn_prune.distributed import Shard
    from bcnn_prune.model.network import BilinearCNN
    from bcnn_prune.pruning.sparsity import ScaleL1
    from bcnn_prune.records import Augmentation, Distillation, Recipe
    from bcnn_prune.spec import ModelSpec
    from bcnn_prune.training.fit import batch_losses

    def compiled(function):
        return torch.compile(function, fullgraph=True, dynamic=False, backend="eager")

    torch.manual_seed(0)
    model = BilinearCNN(ModelSpec("vgg11", (3, 3, 3, 4, 4, 4, 4, 4), classes=3)).train()
    teacher = copy.deepcopy(model).eval().requires_grad_(False)
    pixels = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)
    drawn = draws(Augmentation(10, 0.1, 0.1, 0.2), torch.Generator(), Shard(0, 4, 4), pixels.device)
    x, labels = changed(pixels, drawn), torch.arange(4) % 3
    assert torch.equal(compiled(changed)(pixels, drawn), x)
    twins = model, copy.deepcopy(model)
    for more in ((None,), (torch.bfloat16, teacher, Distillation(4, 0.9))):
        ways = batch_losses, compiled(batch_losses)
        losses = [loss(net, x, labels, *more) for loss, net in zip(ways, twins, strict=True)]
        assert all(map(torch.equal, *losses))
        for _, _, total in losses:
            total.backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(*(net.parameters() for net in twins), strict=True))
    assert all(map(torch.equal, *(net.buffers() for net in twins)))
    for update in ("subgradient", "proximal"):
        recipe = Recipe(1, 0.1, 4, "cosine", Augmentation(), sparsity=0.1, last_sparsity=0.2, update=update)
        for net, wrapped in zip(twins, (lambda part: part, compiled), strict=True):
            l1 = ScaleL1.of(net, recipe)
            wrapped(l1.before_step)()
            wrapped(l1.after_step)(0.1)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(*(net.parameters() for net in twins), strict=True))
    assert all(map(torch.equal, *(net.parameters() for net in twins)))


def overwritten() -> None:
    """Fails where training reads what a step returned, or its gradients, after the next step has begun: as CUDA graphs
    do, this backend returns the same memory for every step, and spoils it before the next."""
    import torch
    from torch._dynamo.backends.common import aot_autograd

    from bcnn_prune.data.batches import ImageSplit
    from bcnn_prune.training import fit
    from tests.training.test_distil import DISTILLED, run, same, wider_teacher

    memory = []
    began = []

    def static(spoils):
        def compiler(graph, inputs):
            kept = {}

            def replay(*arguments):
                if spoils:
                    began.append(True)
                    for tensor in memory:
                        tensor.fill_(float("nan") if tensor.is_floating_point() else -1)
                returned = []
                for place, made in enumerate(graph(*arguments)):
                    if made is not None:
                        if place not in kept:
                            kept[place] = torch.empty_like(made)
                            memory.append(kept[place])
                        made = kept[place].copy_(made).detach()  # a new tensor, so that .grad may take it as it is
                    returned.append(made)
                return returned

            return replay

        return compiler

    backend = aot_autograd(fw_compiler=static(True), bw_compiler=static(False))
    pixels, labels = torch.randint(256, (28, 3, 16, 16), dtype=torch.uint8), torch.arange(28) % 3
    splits = dict.fromkeys(("train", "val"), ImageSplit(pixels, labels))
    eager, history = run(splits, DISTILLED, wider_teacher())
    fit.compiled = lambda losses, *_: torch.compile(losses, fullgraph=True, dynamic=False, backend=backend)
    replayed, told = run(splits, DISTILLED, wider_teacher())
    assert len(began) == DISTILLED.epochs * (len(splits["train"]) // DISTILLED.batch) > 1
    assert same(eager, replayed)
    assert history.without_clock() == told.without_clock()


@pytest.mark.parametrize("check", [one_graph, overwritten])
def test_a_step_is_one_graph_and_computes_the_same(check: Callable[[], None]) -> None:
    code = f"{inspect.getsource(check)}\n{check.__name__}()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def asked(spec: ModelSpec, recipe: Recipe, images: int, side: int, where: str) -> list[str]:
    """In which modes torch is asked to compile, on images that take no memory."""

    class Elsewhere(ImageSplit):
        device = torch.device(where)

    modes: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", lambda losses, mode, **_: modes.append(mode) or losses)
        patch.setattr(torch.compiler, "reset", lambda: None)  # takes seconds to import
        pixels = torch.zeros(1, dtype=torch.uint8).expand(images, 3, side, side)
        train = Elsewhere(pixels, torch.zeros(images, dtype=torch.int64))
        with torch.device("meta"):
            model = BilinearCNN(spec)
        made = compiled.compiled(batch_losses, model, recipe, train, SINGLE_PROCESS)
    assert made is (batch_losses if modes else None)
    return modes


@pytest.mark.parametrize(
    ("images", "where", "triton", "pays"),
    [
        (704, "cuda", "there", True),
        (703, "cuda", "there", False),
        (704, "cpu", "there", False),
        (704, "cuda", None, False),
    ],
)
def test_only_long_phases_on_a_gpu_are_compiled(
    images: int, where: str, triton: str | None, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "find_spec", lambda _: triton)
    assert compiled.COMPILE_FROM == 44 * 100
    recipe = Recipe(100, 0.1, 16, "cosine", Augmentation())
    assert bool(asked(ModelSpec("vgg11", (4,) * 8, classes=3), recipe, images, 64, where)) is pays


@pytest.mark.parametrize(
    ("width", "side", "batch", "mode"), [(0.25, 64, 16, "reduce-overhead"), (1, 224, 48, "default")]
)
def test_steps_that_wait_for_their_kernels_become_cuda_graphs(
    width: float, side: int, batch: int, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "find_spec", lambda _: "there")
    spec = ModelSpec("vgg16", tuple(int(width * full) for full in BACKBONES["vgg16"].widths), classes=50)
    recipe = Recipe(compiled.COMPILE_FROM, 0.1, batch, "cosine", Augmentation())
    assert asked(spec, recipe, batch, side, "cuda") == [mode]
