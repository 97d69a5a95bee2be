"""A training step is one graph to torch.compile, which computes the same: in a process without checks of shapes, since
those are no part of the graph."""

import inspect
import subprocess
import sys

import pytest
import torch

from bcnn_prune.execution import PLAIN
from bcnn_prune.records import Augmentation, Recipe
from bcnn_prune.training import fit


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


def test_a_step_is_one_graph_and_computes_the_same() -> None:
    code = f"{inspect.getsource(one_graph)}\none_graph()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("images", "device", "compiles"), [(704, "cuda", True), (703, "cuda", False), (704, "cpu", False)]
)
def test_only_long_phases_on_a_gpu_are_compiled(
    images: int, device: str, compiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "find_spec", lambda _: True)
    monkeypatch.setattr(torch.compiler, "reset", lambda: None)  # either takes seconds to import
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    recipe = Recipe(100, 0.1, 16, "cosine", Augmentation())
    assert fit.COMPILE_FROM == 44 * 100
    compiled = fit.compiled_losses(recipe, images, PLAIN, torch.device(device))
    assert (compiled is not None) is compiles
