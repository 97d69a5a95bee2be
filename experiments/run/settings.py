"""Settings that flows share on the command line, and the recipes that follow from them."""

import hashlib
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import tyro

from bcnn_prune.backbones import BACKBONES
from bcnn_prune.command_line.check import at_least, one_of, shares
from bcnn_prune.command_line.parse import Share
from bcnn_prune.files import checksum, require_file
from bcnn_prune.heads import HEADS
from bcnn_prune.records import DatasetInfo, Recipe
from bcnn_prune.spec import ModelSpec
from data_prep.prepare import default_path
from experiments.recipes import Name, Recipes, automatic, initial_weights, of_any_length, recipes_of, thesis_fine_tuning
from experiments.run.cutting import Cutting
from thesis_figures import page

BackboneName = Annotated[
    str,
    tyro.conf.arg(aliases=("--depth",)),
    tyro.constructors.PrimitiveConstructorSpec[str](
        nargs=1,
        metavar="BACKBONE",
        instance_from_str=lambda texts: f"vgg{texts[0]}" if texts[0].isdecimal() else texts[0],
        is_instance=lambda value: isinstance(value, str),
        str_from_instance=lambda value: [value],
    ),
]
"""Name of a backbone; 11 stands for vgg11, as in --depth 11, the option's former name."""
WIDEST = 8
REDUCED = 64
"""Channels that a head with a reduction pools."""
NAMED_WEIGHTS = ("imagenet", "tiny", "none")
"""Initial weights that need no file of the user's."""
LONGEST_NAME = 120  # bytes: file systems take 255, and files are named after a run, too
NOT_RECORDED = (
    "data",
    "out",
    "results",
    "data_cache",
    "tensorboard",
    "report",
)  # paths and output, without effect on results
RECORDED_AS = {"precision": "trunk", "min_channels": "floor"}
"""Settings that records and names of runs hold by a former name, which stays what it was."""


@dataclass(frozen=True, kw_only=True)
class FlowSettings:
    """The settings that all flows share."""

    NEWER: ClassVar[tuple[str, ...]] = (
        "head",
        "reduce_to",
        "narrow",
        "classifier_epochs",
        "sparsity_share",
        "scale_weight_decay",
    )
    """Settings that a record holds only where they are not the default: records from before them have none."""

    dataset: str
    """aircraft, birds or cars; drawn-cars for the synthetic set; a prepared subset such as cars50; or your own set."""
    data: Path | None = None
    """The HDF5 file, if it is not data/<dataset>.h5."""
    classes: int = 20
    """Classes of a synthetic set; where not 20, they are part of its name, as in drawn-cars50."""
    recipe: Literal["auto", "thesis", "drawn", "drawn-many", "small"] = "auto"
    """auto takes thesis for a full real set, and small for a subset of one and for your own set. A synthetic set gets
    drawn with up to 20 classes, drawn-many with more."""
    backbone: BackboneName = "vgg16"
    """vgg11 to vgg19 (or 11 to 19), mobilenet, mobilenet-relu6, or another of `python -m experiments.networks`."""
    width: Annotated[float | None, tyro.conf.arg(aliases=("--alpha",))] = None
    """Channels of every layer as a multiple of the published ones; the recipe's if not given."""
    head: str = "bilinear"
    """bilinear, average, flatten; reduced, isqrt or low-rank, which narrow the map by a 1 × 1 convolution first."""
    reduce_to: int = REDUCED
    """Channels that the heads reduced, isqrt and low-rank pool."""
    weights: str | None = None
    """imagenet (VGGs, mobilenet-relu6), tiny, none, or a file of torchvision, timm or this project; the recipe's if not
    given. tiny comes with this project: a VGG-16-BN of a quarter of the width, trained on Tiny ImageNet
    (bcnn_prune/weights/README.md)."""
    narrow: bool = False
    """Cut the trunk of --weights to --width: in each layer the channels with the largest |γ| stay."""
    sparsity: float | Literal["auto"] | None = None
    """λ of L1 on the BN scales in the phases that have it: the sparse one and, by the thesis' recipe, those after it.
    The recipe's if not given. auto sets λ anew after every epoch of the sparse phase, so that in the end as large a
    share of the scales is at zero as --sparsity-share says."""
    sparsity_share: Share | None = None
    """With --sparsity auto: share of the BN scales that is at zero after the sparse phase; --prune's, or the largest of
    --rates, if not given."""
    scale_weight_decay: float | None = None
    """Weight decay of the BN scales in phases with L1, such as 0; that of all other weights if not given."""
    last_sparsity: float | None = None
    """λ of the BN of the channels that the head pools, which decide the size of a bilinear classifier; the same as the
    others' if not given."""
    update: Literal["subgradient", "proximal"] | None = None
    """L1 by the thesis' sub-gradient, or by a proximal step that reaches zero exactly; the recipe's if not given."""
    batch: int | None = None
    """Images per training step; the recipe's if not given. Fewer need less memory."""
    classifier_epochs: int | None = None
    """Epochs of the classifier alone, on a frozen pretrained trunk, before everything is trained; 0 for none. The
    recipe's if not given. On fresh weights there is no such phase."""
    dense_epochs: int | None = None
    """The recipe's if not given."""
    sparse_epochs: int | None = None
    """The recipe's if not given."""
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Annotated[Literal["auto", "fp32", "bf16"], tyro.conf.arg(aliases=("--trunk",))] = "auto"
    """Number format of the trunk in training; auto takes bf16 where the processor computes in it."""
    data_cache: Annotated[Literal["auto", "memory", "stream"], tyro.conf.arg(aliases=("--images",))] = "auto"
    """Hold images in the memory of the device, or stream them from their file; auto streams what would fill half of
    it."""
    tensorboard: bool = False
    """Also write scalars and γ histograms of every epoch for TensorBoard, to <out>/tensorboard/<set>/<phase>."""
    report: bool = False
    """Also write a page of the run, report.html, beside its record: γ under a slider, curves, networks, provenance."""
    out: Path = Path("runs")
    """Folder of checkpoints and results."""
    results: Path | None = None
    """Also write the record to <results>/<experiment>/<set>/<name>.json, for thesis_figures."""

    def check(self) -> None:
        """Raise ValueError for a value that cannot work. Not in __post_init__: tyro would frame it."""
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"--seed is {self.seed}: take 0 to {2**32 - 1}")
        one_of(BACKBONES, backbone=self.backbone)
        one_of(HEADS, head=self.head)
        if self.width is not None and not 0 < self.width <= WIDEST:
            raise ValueError(f"--width is {self.width:g}: take more than 0 and at most {WIDEST}, such as 0.25")
        check_reduction(self.head, self.reduce_to)
        at_least(1, batch=self.batch, dense_epochs=self.dense_epochs, sparse_epochs=self.sparse_epochs)
        if self.narrow and self.weights in (None, "none"):
            raise ValueError("--narrow cuts a pretrained trunk: name it, --weights FILE, tiny or imagenet")
        at_least(0, classifier_epochs=self.classifier_epochs)
        sparsity = None if self.sparsity == "auto" else self.sparsity
        at_least(0, sparsity=sparsity, last_sparsity=self.last_sparsity, scale_weight_decay=self.scale_weight_decay)
        shares(sparsity_share=self.sparsity_share)
        if self.sparsity_share is not None and self.sparsity != "auto":
            raise ValueError("--sparsity-share means nothing without --sparsity auto: give both")
        if self.sparsity == "auto" and not (self.sparsity_share or self.cutting().share):
            raise ValueError("--sparsity auto needs the share of BN scales to bring to zero: --sparsity-share 0.6")
        if self.report:
            page.require()

    def cutting(self) -> Cutting:
        """Cuts and the training after them; each class adds what it declares."""
        return Cutting()

    def on(self, _info: DatasetInfo) -> Self:
        """These settings, with those that the data set decides."""
        return self

    def has_dense_as_long(self, info: DatasetInfo) -> bool:
        """Whether the dense network trained as long is a control of the flow on this set."""
        return False

    def ships(self) -> tuple[str, float] | None:
        """The file that the run ends with, a name in VARIANTS, and the milliseconds that it may take; None for a run
        that ends with a checkpoint alone."""
        return None

    def recipe_name(self, info: DatasetInfo) -> Name:
        """The recipe that the run goes by."""
        return automatic(info) if self.recipe == "auto" else self.recipe

    def unpruned(self, info: DatasetInfo) -> ModelSpec:
        """The network before any cut. Raises ValueError for one that there is not."""
        width, reduce_to = recipes_for(self, info).width, self.reduce_to
        return ModelSpec.of(
            self.backbone, info.classes, width, self.head, batch_norm=True, reduce_to=reduce_to, side=info.side
        )

    def check_network(self, spec: ModelSpec, side: int) -> None:
        """Raise ValueError for what a network of `spec` and images of this side do not allow; may time networks."""

    def name(self, info: DatasetInfo) -> str:
        """Name of the run among those on its data set: every setting that is not the default, and the seed.

        Files of weights, and data from elsewhere than data/<set>.h5, are named by a digest of their content, too."""
        changed = {
            recorded_name(field.name).replace("_", ""): getattr(self, field.name)
            for field in fields(self)
            if field.name not in (*NOT_RECORDED, "dataset", "classes", "seed")
            and getattr(self, field.name) != field.default
        }
        if changed.get("weights") not in (None, *NAMED_WEIGHTS):
            path = Path(changed["weights"])
            changed["weights"] = f"{path.stem}_{weights_digest(path)[:8]}"
        if self.data is not None and self.data.resolve() != default_path(info.name).resolve():
            changed["data"] = info.digest[:8]
        text, seed = "".join(f"{name}{_recorded(value)}-" for name, value in changed.items()), f"seed{self.seed}"
        if len(text.encode()) > LONGEST_NAME:  # its end holds the flow's own settings, which tell its runs apart
            end = text.encode()[-LONGEST_NAME:].decode(errors="ignore")
            text = f"{hashlib.sha256(text.encode()).hexdigest()[:8]}~{end}"
        return text + seed

    def plain(self) -> dict[str, str | int | float | bool | None]:
        """The settings as a record holds them."""
        values = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in NOT_RECORDED
            and not (field.name in self.NEWER and getattr(self, field.name) == field.default)
        }
        return {recorded_name(name): _recorded(value) for name, value in values.items()}


def check_reduction(head: str, reduce_to: int) -> None:
    """Raise ValueError for a number of channels that cannot be, or that the head does not heed."""
    at_least(1, reduce_to=reduce_to)
    if reduce_to != REDUCED and not HEADS[head].reduces:
        reducing = ", ".join(name for name, known in HEADS.items() if known.reduces)
        raise ValueError(f"--reduce-to means nothing with --head {head}: take {reducing}")


def recorded_name(setting: str) -> str:
    """The name of a setting in records and, without underscores, in names of runs."""
    return RECORDED_AS.get(setting, setting)


def weights_digest(path: Path) -> str:
    """SHA-256 of a file of weights, the first 16 hexadecimal digits; one that stays as it is is read once."""
    require_file(path)
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


@cache
def _digest(path: Path, _size: int, _modified: int) -> str:
    return checksum(path)[:16]


def _recorded(value: Any) -> Any:
    """A setting as names and records hold it: a path as text, several values joined."""
    if isinstance(value, tuple):
        return "+".join(map(str, value))
    return str(value) if isinstance(value, Path) else value


def recipes_for(settings: FlowSettings, info: DatasetInfo, share: float | None = None) -> Recipes:
    """The recipe of the set and the share to be pruned (the settings' own, if None), with what the command line
    changes in it."""
    cutting = settings.cutting()
    name = settings.recipe_name(info)
    weights = settings.weights or initial_weights(name, info, settings.backbone, settings.width)
    recipes = recipes_of(name, info.family, weights)
    if name == "thesis":
        epochs = thesis_fine_tuning(cutting.share if share is None else share)
        recipes = replace(
            recipes, fine_tune=replace(recipes.fine_tune, epochs=epochs), soft=replace(recipes.soft, epochs=epochs)
        )

    def changed(recipe: Recipe, epochs: int | None) -> Recipe:
        batch = recipe.batch if settings.batch is None else settings.batch
        recipe = replace(recipe, epochs=recipe.epochs if epochs is None else epochs, batch=batch)
        recipe = recipe if HEADS[settings.head].unit_length else of_any_length(recipe)
        return _with_l1(recipe, settings) if recipe.sparsity else recipe

    def with_share(recipe: Recipe) -> Recipe:
        if settings.sparsity != "auto":
            return recipe
        return replace(recipe, sparsity_share=settings.sparsity_share or cutting.share, keep="last")

    def after_cut(recipe: Recipe) -> Recipe:
        rate = recipe.learning_rate if cutting.fine_tune_rate is None else cutting.fine_tune_rate
        return replace(changed(recipe, cutting.fine_tune_epochs), learning_rate=rate, distillation=cutting.distillation)

    first = recipes.classifier
    return Recipes(
        classifier=changed(first, settings.classifier_epochs) if first and settings.classifier_epochs != 0 else None,
        dense=changed(recipes.dense, settings.dense_epochs),
        sparse=with_share(changed(recipes.sparse, settings.sparse_epochs)),
        fine_tune=after_cut(recipes.fine_tune),
        soft=after_cut(recipes.soft),
        heavier=recipes.heavier,
        width=recipes.width if settings.width is None else settings.width,
        weights=weights,
    )


def _with_l1(recipe: Recipe, settings: FlowSettings) -> Recipe:
    """A recipe that has L1, with the strengths and the update of the settings."""
    sparsity, last = recipe.sparsity, recipe.last_sparsity
    if settings.sparsity not in (None, "auto"):
        sparsity = last = float(settings.sparsity)
    last = last if settings.last_sparsity is None else settings.last_sparsity
    update, decay = settings.update or recipe.update, settings.scale_weight_decay
    return replace(recipe, sparsity=sparsity, last_sparsity=last, update=update, scale_weight_decay=decay)
