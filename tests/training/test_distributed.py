"""Training by two processes: the network that one would train, the same on both, and what BN per rank changes."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from bcnn_prune.data.batches import ImageSplit, read_split
from bcnn_prune.distributed import SINGLE_PROCESS, ProcessGroup
from bcnn_prune.evaluation.accuracy import evaluate
from bcnn_prune.execution import Execution
from bcnn_prune.model.init import fresh
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.pruning.soft import SoftPruning
from bcnn_prune.pruning.sparsity import ScaleL1
from bcnn_prune.records import Distillation, Evaluation, Recipe, SoftPruningSchedule
from bcnn_prune.spec import ModelSpec
from bcnn_prune.training.fit import Diverged, fit
from experiments.run.distributed import join_process_group, twin_of
from tests.helpers.several import several, tensors
from tests.helpers.small_sets import stripes
from tests.training.test_fit import RECIPE, Memory, Silent

SPEC = ModelSpec("vgg11", (8,) * 8, classes=3)
AVERAGE = replace(SPEC, head="average")
"""Where rounding is compared: the bilinear head's root is steep at zero, and a few steps make a hundredth of it."""
ONE_EPOCH = replace(RECIPE, epochs=1, learning_rate=0.01)
DISTILLED = replace(ONE_EPOCH, distillation=Distillation(4, 0.9))
CLASSIFIER = replace(ONE_EPOCH, trains="classifier")
SPARSE = replace(ONE_EPOCH, epochs=2, sparsity=1.0, last_sparsity=1.0, keep="last")  # reaches 0.7; scales start at 0.5
SOFTENING = SoftPruningSchedule(drop=20, floor=1)
# 49 images in batches of 8: the last batch is one image, so one rank has none.
PLAIN = {"no BN, even": (replace(SPEC, batch_norm=False), 48), "no BN, uneven": (replace(SPEC, batch_norm=False), 49)}
UPDATES = ("subgradient", "proximal", "soft")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two processes have trained all that the tests below read."""
    folder = tmp_path_factory.mktemp("ranks")
    stripes(folder / "set.h5", side=32)  # the last map is 2 × 2: BN can do with one image
    assert several(2, all_of_it, folder) == {}
    return folder


def all_of_it(folder: Path) -> None:
    ranks = join_process_group(torch.device("cpu"))

    def keep(name: str, value: object) -> None:
        torch.save(value, folder / f"{name}-{ranks.rank}.pt")

    for name, (spec, images) in PLAIN.items():
        keep(name, weights(trained(folder, spec, images, ONE_EPOCH, ranks)))
    keep("classifier", weights(trained(folder, SPEC, 49, CLASSIFIER, ranks)))
    keep("distilled", weights(trained(folder, PLAIN["no BN, uneven"][0], 49, DISTILLED, ranks)))
    keep("BN", weights(trained(folder, AVERAGE, 49, ONE_EPOCH, ranks)))
    for update in UPDATES:
        keep(update, weights(trained(folder, SPEC, 49, recipe_of(update), ranks, update == "soft")))
    model, val = trained(folder, SPEC, 49, ONE_EPOCH, SINGLE_PROCESS), split_of(folder, "val")
    found = evaluate(model, val, Execution(ranks=ranks))
    keep("counts", (found.images, found.correct))
    for raised in (told_a_full_disk, partial(trained, folder, SPEC, 49, replace(RECIPE, learning_rate=1e9))):
        try:
            raised(ranks=ranks)
        except (OSError, Diverged) as error:
            keep(type(error).__name__, str(error))


def told_a_full_disk(ranks: ProcessGroup) -> None:
    def full() -> None:
        raise OSError(f"the disk of rank {ranks.rank} is full")

    ranks.on_rank_zero(full)


def trained(
    folder: Path, spec: ModelSpec, images: int, recipe: Recipe, ranks: ProcessGroup, soft: bool = False
) -> BilinearCNN:
    # ProcessGroup start from rank 0's weights, whatever they had.
    model = fresh(spec, torch.Generator().manual_seed(ranks.rank)).to(memory_format=torch.channels_last)
    train, val = split_of(folder, "train").take(images, torch.Generator().manual_seed(1)), split_of(folder, "val")

    def validate(network: BilinearCNN) -> Evaluation:
        return evaluate(network, val, Execution(ranks=ranks))

    l1 = ScaleL1.of(model, recipe)
    penalty = SoftPruning(model, l1, SOFTENING, validate) if soft else l1
    teacher = fresh(SPEC, torch.Generator().manual_seed(5)) if recipe.distillation else None
    fit(
        model,
        train,
        recipe,
        penalty,
        validate,
        torch.Generator().manual_seed(7),
        Silent(),
        Memory(),
        execution=Execution(ranks=ranks),
        teacher=teacher,
    )
    return model


def recipe_of(update: str) -> Recipe:
    return replace(SPARSE, update="proximal" if update == "soft" else update)  # type: ignore[arg-type]


def split_of(folder: Path, split: str) -> ImageSplit:
    return read_split(folder / "set.h5", split, torch.device("cpu"))


def weights(model: BilinearCNN) -> dict[str, Tensor]:
    return model.state_dict()


def furthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest difference of any parameter or statistic, relative to the largest value of its tensor."""
    assert one.keys() == other.keys()
    return max(float((one[key] - other[key]).abs().max() / one[key].abs().max().clamp(min=1e-3)) for key in one)


def test_over_a_frozen_trunk_two_processes_train_the_classifier_of_one(folder: Path) -> None:
    """BN normalises by its running statistics there, whatever each process has of a batch."""
    one = weights(trained(folder, SPEC, 49, CLASSIFIER, SINGLE_PROCESS))
    for shared in tensors(folder, "classifier", 2):
        assert furthest(one, shared) < 1e-4


@pytest.mark.parametrize("case", PLAIN)
def test_without_bn_two_processes_train_the_network_of_one(case: str, folder: Path) -> None:
    spec, images = PLAIN[case]
    before = weights(fresh(spec, torch.Generator().manual_seed(0)))
    alone = weights(trained(folder, spec, images, ONE_EPOCH, SINGLE_PROCESS))
    assert furthest(alone, before) > 1e-2
    for shared in tensors(folder, case, 2):
        assert furthest(alone, shared) < 1e-3  # sums in another order, carried through the steps of an epoch


def test_two_processes_learn_from_a_teacher_what_one_does(folder: Path) -> None:
    spec, images = PLAIN["no BN, uneven"]
    alone, untaught = (
        weights(trained(folder, spec, images, recipe, SINGLE_PROCESS)) for recipe in (DISTILLED, ONE_EPOCH)
    )
    assert furthest(alone, untaught) > 1e-2
    one, other = tensors(folder, "distilled", 2)
    assert furthest(alone, one) < 1e-3
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


class Halves(nn.Module):
    """The computation of two ranks in one process: each half of a batch is normalised by its own statistics."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.statistics = [{name: value.clone() for name, value in model.named_buffers()} for _ in range(2)]

    def forward(self, images: Tensor) -> Tensor:
        parts = [images[ProcessGroup(rank, 2).share(len(images)).rows] for rank in range(2)]
        pairs = [(part, of) for part, of in zip(parts, self.statistics, strict=True) if len(part)]
        return torch.cat([functional_call(self.model, of, (part,)) for part, of in pairs])


class GhostRanks(ProcessGroup):
    def wrap_ddp(self, model: nn.Module) -> nn.Module:
        object.__setattr__(self, "halves", Halves(model))
        return self.halves  # type: ignore[attr-defined,no-any-return]


def test_bn_per_rank_is_one_process_that_normalises_each_half_by_itself(folder: Path) -> None:
    """And nothing else: that is what BN changes, and it is far more than rounding."""
    ghost = GhostRanks()
    halves = weights(trained(folder, AVERAGE, 49, ONE_EPOCH, ghost))
    first, second = ghost.halves.statistics  # type: ignore[attr-defined]
    halves |= {name: (first[name] + second[name]) / 2 for name in first if not name.endswith("num_batches_tracked")}
    together = weights(trained(folder, AVERAGE, 49, ONE_EPOCH, SINGLE_PROCESS))
    for shared in tensors(folder, "BN", 2):
        shared = {name: value for name, value in shared.items() if not name.endswith("num_batches_tracked")}
        assert furthest(shared, {name: halves[name] for name in shared}) < 1e-3
        assert furthest(shared, {name: together[name] for name in shared}) > 1e-1


@pytest.mark.parametrize("name", ["BN", *UPDATES])
def test_both_ranks_end_with_the_same_bits(name: str, folder: Path) -> None:
    one, other = tensors(folder, name, 2)
    assert list(one) == list(fresh(SPEC, torch.Generator()).state_dict())  # no name of a wrapper
    for key in one:
        assert torch.equal(one[key], other[key]), key
    zero = sum(int((tensor == 0).sum()) for key, tensor in one.items() if "bn" in key and key.endswith("weight"))
    assert (zero >= SOFTENING.drop) if name == "soft" else (zero > 0) == (name == "proximal")


def test_both_ranks_count_what_one_process_counts(folder: Path) -> None:
    found = evaluate(trained(folder, SPEC, 49, ONE_EPOCH, SINGLE_PROCESS), split_of(folder, "val"))
    assert tensors(folder, "counts", 2) == [(found.images, found.correct)] * 2


def test_what_rank_0_fails_at_and_a_loss_that_is_no_number_stop_both(folder: Path) -> None:
    assert tensors(folder, "OSError", 2) == ["the disk of rank 0 is full"] * 2
    one, other = tensors(folder, "Diverged", 2)
    assert one == other
    assert "try a learning rate below" in one


@pytest.mark.parametrize("synchronised", [False, True])
def test_the_network_keeps_its_own_batch_norm_and_shares_all_tensors_with_its_twin(synchronised: bool) -> None:
    model = fresh(SPEC, torch.Generator().manual_seed(0))
    twin = twin_of(model, synchronised)
    kinds = {type(module) for module in twin.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)}
    assert kinds == {nn.SyncBatchNorm if synchronised else nn.BatchNorm2d}
    assert len(model.norms) == 8
    for ours, theirs in ((model.parameters(), twin.parameters()), (model.buffers(), twin.buffers())):
        assert all(one is other for one, other in zip(ours, theirs, strict=True))
