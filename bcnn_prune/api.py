"""The public API: the method in Python, on any iterable of (images, labels) batches.

`import bcnn_prune as bp` gives these names; they are imported when they are first used."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from bcnn_prune.compression import storage
from bcnn_prune.data.augment import normalised
from bcnn_prune.data.batches import Split
from bcnn_prune.data.loader import LabelledBatches, LoaderSplit, as_split, checked, require_images
from bcnn_prune.deployment.export import onnx_graph, openvino_graph, write_onnx, write_openvino
from bcnn_prune.deployment.fold import folded
from bcnn_prune.evaluation import accuracy
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.metadata import MEAN, STD, Colour, ModelCard
from bcnn_prune.model import checkpoint
from bcnn_prune.model.checkpoint import CheckpointInfo
from bcnn_prune.model.init import fresh
from bcnn_prune.model.network import BilinearCNN, Trainable
from bcnn_prune.model.tensor_files import require_finite
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.protocol import CERTIFICATE
from bcnn_prune.pruning.adaptive_l1 import l1_of
from bcnn_prune.pruning.importance import CRITERIA, Scores, with_blocks
from bcnn_prune.pruning.ranking import drop_counts, keep_highest, min_widths
from bcnn_prune.pruning.recalibrate import recalibrated
from bcnn_prune.pruning.rules import RULES, ranked_by
from bcnn_prune.pruning.select import round_widths_up
from bcnn_prune.pruning.surgery import largest_difference, rebuild, silenced
from bcnn_prune.records import Cost, EpochStats, Evaluation, History, Recipe
from bcnn_prune.spec import ModelSpec
from bcnn_prune.training import fit as training

USUAL_SIDE = 224
"""Pixels."""


def create(
    backbone: str = "vgg16",
    classes: int = 2,
    width: float = 1.0,
    head: str = "bilinear",
    batch_norm: bool | None = None,
    reduce_to: int = 64,
    side: int | None = None,
    seed: int = 0,
) -> BilinearCNN:
    """A network with fresh weights, every layer `width` times as wide as published; see `ModelSpec.of`."""
    spec = ModelSpec.of(backbone, classes, width, head, batch_norm=batch_norm, reduce_to=reduce_to, side=side)
    return fresh(spec, torch.Generator().manual_seed(seed))


def load(path: str | Path) -> BilinearCNN:
    """The network of a checkpoint or a packed file, on the CPU, ready to evaluate. Raises ValueError or OSError that
    names the file."""
    path = Path(path)
    model, _ = storage.load(path) if path.suffix == storage.SUFFIX else checkpoint.load(path)
    return model.eval()


def save(
    path: str | Path,
    model: BilinearCNN,
    class_names: Sequence[str] = (),
    side: int | None = None,
    dataset: str = "own",
    mean: Colour = MEAN,
    std: Colour = STD,
) -> None:
    """Write the network and its description as one safetensors file, whole or not at all. Raises ValueError for weights
    that are not finite, for names that are no texts or not one for each class, and for a side that is too small.

    `class_names` in the order of the logits (numbers if not given). `side` in pixels is what images are resized to: if
    not given the one that the network is made for, or 224 where any will do. `mean` and `std`, red, green and blue of
    the unit range, are what floating-point images were normalised by in training; uint8 ones need none."""
    require_finite(model.state_dict())
    info = CheckpointInfo(
        _card(model, class_names, side, dataset, mean, std), model.spec, ChannelPlan.keep_all(model.spec)
    )
    checkpoint.save(Path(path), model, info)


def fit(
    model: BilinearCNN,
    train: Split | LabelledBatches,
    recipe: Recipe,
    validate: Split | LabelledBatches,
    seed: int = 0,
    report: Callable[[EpochStats], None] = lambda _: None,
    teacher: BilinearCNN | None = None,
) -> History:
    """Train `model` in place by `recipe` and leave it with the weights of the kept epoch, in the modes that it had.

    uint8 images are normalised and augmented by the recipe, floating-point ones are taken as they are. Batches of a
    loader keep their size. `report` is called after each epoch. A recipe with a `Distillation` needs a `teacher`, which
    is untouched. Raises Diverged where the loss is not finite, ValueError for batches that the network cannot be
    trained on."""
    for network in (model, teacher) if teacher else (model,):
        _require_fp32(network)
    split, val = (as_split(given, model.spec, model.device) for given in (train, validate))
    if teacher:
        teacher.spec.require_side(split.side)
    if isinstance(split, LoaderSplit):
        recipe = replace(recipe, batch=split.batch)
    return training.fit(
        model,
        split,
        recipe,
        l1_of(model, recipe, len(split)),
        validate=lambda network: accuracy.evaluate(network, val),
        generator=torch.Generator().manual_seed(seed),
        callback=_Report(report),
        checkpoints=training.NoCheckpoints(),
        teacher=teacher,
    )


def evaluate(model: BilinearCNN, batches: Split | LabelledBatches) -> Evaluation:
    """Top-1 counts. Leaves `model` as it was."""
    _require_fp32(model)
    return accuracy.evaluate(model, as_split(batches, model.spec, model.device))


def score(
    model: BilinearCNN, criterion: str | Callable[[BilinearCNN], Scores], batches: LabelledBatches = (), seed: int = 0
) -> Scores:
    """One score per channel, by layer: the lower, the sooner it is pruned.

    `criterion` is a name in CRITERIA or a function of yours, which may leave out layers that keep all channels.
    Criteria that look at images need labelled `batches`. Channels that groups of a convolution share have one score.
    Raises ValueError for batches that are needed and hold no image, and for other numbers of scores than of
    channels."""
    if not isinstance(criterion, str):
        return with_blocks(_one_per_channel(criterion(model), model.spec), model.spec.blocks)
    if criterion not in CRITERIA:
        raise ValueError(f"no criterion {criterion}: take {', '.join(CRITERIA)}, or a function of a network")
    _require_fp32(model)
    labelled = (
        (normalised(images.to(model.device)), labels.to(model.device))
        for images, labels in (checked(batch, model.spec) for batch in batches)
    )
    scores = CRITERIA[criterion](model, labelled, torch.Generator().manual_seed(seed))
    return with_blocks(scores, model.spec.blocks)


def select(
    scores: Scores,
    drop: float,
    min_channels: int = 4,
    round_to: int = 1,
    rule: str = "thesis",
    min_share: float | None = None,
) -> ChannelPlan:
    """Keep all but the share `drop` (0 to 1) of all channels with the lowest scores, and `min_channels` in every layer.

    Layers are ranked against each other by `rule`, one of RULES: "thesis" takes scores as they are, and on photographs
    "mean", scores over their layer's mean, leaves far more accurate networks of equal cost (results/equal_cost).
    `min_share` of each layer stays, too, the rule's own if not given. Widths are rounded up to multiples of
    `round_to`; those of grouped convolutions can end wider, since `prune` keeps the same channels in every group."""
    scores = {layer: torch.as_tensor(values) for layer, values in scores.items()}
    (count,) = drop_counts(sum(map(len, scores.values())), drop)
    ranked, share = ranked_by(scores, rule), RULES[rule].min_share if min_share is None else min_share
    fewest = min_widths({layer: len(values) for layer, values in scores.items()}, min_channels, share)
    return round_widths_up(keep_highest(ranked, count, fewest), scores, round_to)


def prune(
    model: BilinearCNN, plan: ChannelPlan, check: Float[Tensor, "batch colours h w"] | None = None
) -> BilinearCNN:
    """Copy `model` with only the channels that `plan` keeps. `model` is untouched.

    With images to `check` on, raises ValueError unless the copy computes what `model` does with the other
    channels silenced."""
    plan = plan.completed(model.spec)
    narrow = rebuild(model, plan)
    if check is not None:
        _require_fp32(model)
        require_images(check, model.spec)
        if not len(check):
            raise ValueError("there is no image to check on")
        check = normalised(check.to(model.device))
        certificate = largest_difference(narrow, silenced(model, plan), check)
        if not certificate <= CERTIFICATE:
            raise ValueError(f"pruned and silenced network differ by {certificate:.1e} of the largest logit")
    return narrow


def recalibrate(model: BilinearCNN, batches: Iterable[Tensor] | LabelledBatches) -> BilinearCNN:
    """Copy `model` with BN statistics averaged anew over batches of images (batch, 3, h, w); labels beside them are not
    looked at.

    `model` is untouched. Raises ValueError without BatchNorm, or without images."""
    model.spec.require_batch_norm("recalibrate", "a network with it")
    _require_fp32(model)

    def images() -> Iterator[Tensor]:
        for batch in batches:
            of_batch = batch if isinstance(batch, Tensor) else batch[0]
            require_images(of_batch, model.spec)
            yield normalised(of_batch.to(model.device))

    return recalibrated(model, images())


def cost(network: BilinearCNN | ModelSpec, side: int) -> Cost:
    """Parameters, and multiply-adds of one image of `side` pixels."""
    return total_cost(network if isinstance(network, ModelSpec) else network.spec, side)


def export(
    path: str | Path,
    model: BilinearCNN,
    class_names: Sequence[str] = (),
    side: int | None = None,
    mean: Colour = MEAN,
    std: Colour = STD,
) -> None:
    """Write a standalone file: .onnx, or OpenVINO's .xml with its .bin. BatchNorm is folded; uint8 pixels go in, and
    are normalised by `mean` and `std`; these and `side` are as in `save`.

    Raises ValueError for another suffix, where the packages of the extra `deploy` are missing, and as `save` does."""
    path, card = Path(path), _card(model, class_names, side, "own", mean, std)
    if path.suffix not in (".onnx", ".xml"):
        raise ValueError(f"{path} is no name to export to: take one that ends in .onnx or .xml")
    _require_fp32(model)
    require_finite(model.state_dict())
    graph = onnx_graph(folded(model).cpu(), card)
    if path.suffix == ".onnx":
        write_onnx(path, graph)
    else:
        write_openvino(path, openvino_graph(graph), card)


def _require_fp32(model: BilinearCNN) -> None:
    """Raise ValueError for weights in another format than images have. In half precision the square root of a pooled
    zero has no gradient, either."""
    if (dtype := model.classifier.weight.dtype) != torch.float32:
        raise ValueError(f"the weights are {dtype}: convert the network by model.float()")


def _card(
    model: BilinearCNN, class_names: Sequence[str], side: int | None, dataset: str, mean: Colour, std: Colour
) -> ModelCard:
    if isinstance(class_names, str) or not all(isinstance(name, str) for name in class_names):
        raise ValueError(
            "the names of classes are no list of texts: take one for each class, in the order of the logits"
        )
    names = tuple(class_names) or tuple(map(str, range(model.spec.classes)))
    side = (model.spec.side or USUAL_SIDE) if side is None else side
    model.spec.require_side(side)
    return ModelCard(model.spec, names, dataset, side, mean, std)


def _one_per_channel(scores: Any, spec: ModelSpec) -> Scores:
    """The scores as tensors in fp64. Raises ValueError for a layer that there is not, or of another width."""
    if not isinstance(scores, Mapping):
        raise ValueError(f"the criterion gives {type(scores).__name__}: let it give scores by layer, a dict")
    tensors = {layer: torch.as_tensor(values).detach().double().cpu() for layer, values in scores.items()}
    for layer, values in tensors.items():
        if layer not in spec.width_of:
            raise ValueError(f"there are scores of {layer}, which is no prunable layer: take {', '.join(spec.layers)}")
        if values.shape != (spec.width_of[layer],):
            shape = " × ".join(map(str, values.shape)) or "1"
            raise ValueError(f"{layer} has {spec.width_of[layer]} channels, and {shape} scores")
    return tensors


class _Report:
    """A callback that reports epochs."""

    def __init__(self, report: Callable[[EpochStats], None]) -> None:
        self._report = report

    def on_batch(self, done: int, total: int) -> None: ...

    def on_epoch(self, stats: EpochStats, epochs: int, model: Trainable) -> None:
        self._report(stats)
