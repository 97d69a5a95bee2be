"""What a run is told, what it measured, and the one JSON file it leaves.

A record is enough to redo the run and is all that a table or figure reads. Counts, not percentages."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import cattrs
from cattrs.gen import make_dict_structure_fn
from cattrs.preconf.json import make_converter

from bcnn_prune.datasets import DatasetName, Kind
from bcnn_prune.files import json_text, parse_json, require_file
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.spec import ModelSpec

VERSION = 2
NEAR_ZERO = (
    1e-3  # a BN scale below it counts as gone to zero: the sub-gradient hovers there, the proximal step is exact
)


@dataclass(frozen=True)
class Augmentation:
    """How far a training image may be changed, each amount drawn evenly from -amount to +amount for every image."""

    rotation: float = 0.0
    """Degrees."""
    shift: float = 0.0
    """Shard of the image side, along each axis."""
    zoom: float = 0.0
    """Relative change of scale."""
    colour: float = 0.0
    """Relative change of brightness, of contrast and of saturation."""
    flip: bool = True
    """Mirror left and right, every second image."""


@dataclass(frozen=True)
class Recipe:
    """One training phase in numbers."""

    epochs: int
    learning_rate: float
    batch: int
    """Images a step."""
    schedule: Literal["cosine", "plateau"]
    """Cosine to zero over the phase, or × `decay` when val accuracy has not risen for more than `patience` epochs."""
    augment: Augmentation
    keep: Literal["best", "last"] = "best"
    """The epoch whose weights the phase leaves: the best on val, or the last."""
    patience: int = 30
    decay: float = 0.1
    lowest_rate: float = 1e-6
    """The plateau schedule stops here (thesis protocol: 1e-6)."""
    momentum: float = 0.9
    weight_decay: float = 1e-5
    classifier_rate: float = 1.0
    """The classifier's learning rate as a multiple of the trunk's."""
    classifier_weight_decay: float = 1e-5
    sparsity: float = 0.0
    """λ of the L1 penalty on BN scales (Liu et al. 2017, eq. 1)."""
    last_sparsity: float = 0.0
    """λ of the last BN, which decides the classifier's size."""
    update: Literal["subgradient", "proximal"] = "subgradient"
    """λ·sign(γ) added to the gradient, or soft thresholding after the optimizer's step, which reaches zero exactly."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "learning_rate", "classifier_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}: take a positive number")
        for name in ("sparsity", "last_sparsity", "weight_decay", "classifier_weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}: take zero or more")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}: take 0 or more and less than 1")

    def learning_rate_sum(self, images: int) -> float:
        """Σ of the trunk's learning rate over all steps of the phase; for a plateau schedule, the most it can be."""
        steps = self.epochs * math.ceil(images / self.batch)
        return self.learning_rate * steps * (0.5 if self.schedule == "cosine" else 1)


@dataclass(frozen=True)
class SoftPruningSchedule:
    """How soft pruning zeroes while a phase trains."""

    drop: int
    """Channels that are at zero in the end."""
    floor: int
    """Channels that are spared in every layer."""
    every: int = 1
    """Epochs from one zeroing to the next."""
    ramp: int = 1
    """Epochs over which the number of zeroed channels rises evenly to `drop`; 1 zeroes all from the start."""

    def __post_init__(self) -> None:
        for name in ("every", "ramp"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: take 1 or more epochs")


@dataclass(frozen=True)
class DatasetInfo:
    """An image set as prepared: the label that everything made from it carries, and what it holds."""

    name: str
    """cars, drawn-cars, cars50: never the official name for anything but the official set."""
    family: str
    """The published set that it is, is a part of, or is drawn after; its own name, if none."""
    kind: Kind
    side: int
    """Pixels."""
    class_names: tuple[str, ...]
    images: Mapping[str, int]
    """Number of images by split."""
    per_class: tuple[int, int]
    """Fewest and most images of a class, all splits together."""
    source_widths: tuple[int, int]
    """Narrowest and widest source image, in pixels."""
    source_heights: tuple[int, int]
    digest: str
    """SHA-256 over pixels, labels, ids, splits and class names."""

    @property
    def classes(self) -> int:
        return len(self.class_names)


@dataclass(frozen=True)
class Evaluation:
    """Top-1 counts on one split."""

    images: int
    correct: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.images or self.images == 0:
            raise ValueError(f"{self.correct} correct of {self.images} images is no evaluation")

    @property
    def accuracy(self) -> float:
        """0 to 1."""
        return self.correct / self.images


@dataclass(frozen=True)
class SoftPruningEvent:
    """What soft pruning did at the end of an epoch: γ and β of the lowest channels to zero. Counted on val images."""

    zeroed: int
    """Channels."""
    before: Evaluation
    after: Evaluation
    jaccard: float | None
    """|A ∩ B| / |A ∪ B| of these channels and those of the zeroing before: 1 where none moved. None for the first."""


@dataclass(frozen=True)
class EpochStats:
    """One epoch of training, as seen at its end. `epoch` counts from 1."""

    epoch: int
    learning_rate: float
    loss: float
    """Mean cross-entropy over the epoch's training images, as augmented, without penalty."""
    train: Evaluation
    """Counted while training, on augmented images and changing weights."""
    val: Evaluation
    scales_at_zero: float
    """Shard of all BN scales with |γ| < NEAR_ZERO."""
    seconds: float
    """Wall time of the epoch, validation included."""
    zeroing: SoftPruningEvent | None = None
    """None where nothing was zeroed."""


@dataclass(frozen=True)
class History:
    """The epochs of one training phase, and the one whose weights were kept."""

    epochs: tuple[EpochStats, ...]
    kept_epoch: int

    @property
    def kept(self) -> EpochStats:
        return self.epochs[self.kept_epoch - 1]

    @property
    def seconds(self) -> float:
        return sum(epoch.seconds for epoch in self.epochs)

    def without_clock(self) -> "History":
        """The history with no time in it."""
        return replace(self, epochs=tuple(replace(epoch, seconds=0.0) for epoch in self.epochs))


@dataclass(frozen=True)
class Cost:
    """Parameters, and multiply-adds of one image (one is 2 FLOPs); biases and BN are counted in params only."""

    params: int
    macs: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.params + other.params, self.macs + other.macs)


@dataclass(frozen=True)
class Latency:
    """Forward time of one batch on a CPU: median and quartiles over `rounds`, in milliseconds."""

    median_ms: float
    lower_quartile_ms: float
    upper_quartile_ms: float
    rounds: int
    batch: int
    threads: int
    load: float | None = None
    """Cores that other processes kept busy meanwhile; None where it was not looked at."""


@dataclass(frozen=True)
class SpeedUp:
    """How many times as fast as another network, both timed in the same rounds: median and quartiles over rounds."""

    median: float
    lower_quartile: float
    upper_quartile: float


@dataclass(frozen=True)
class PruneStep:
    """One cut: the plan in the numbering of the network before it, and test counts at each stage after it.

    The stages are those of one network, in order, but for `absorbed`, which stands beside them."""

    plan: ChannelPlan
    spec: ModelSpec
    cost: Cost
    threshold: float
    """The largest score that was dropped; 0 if none was."""
    certificate: float
    """Largest difference between the logits of the rebuilt and the silenced network, relative to the largest logit (and
    of the absorbed network and the one that it stands for, where that is larger)."""
    rebuilt: Evaluation
    recalibrated: Evaluation | None
    """None where BN statistics were left as they were."""
    fine_tuned: Evaluation | None = None
    """None where the cut is the end: in a sweep, and after soft pruning."""
    fine_tuning: History | None = None
    absorbed: Evaluation | None = None
    """The rebuilt network with what dropped channels went on emitting, ReLU(β), folded into the next BN; a sweep's."""

    @property
    def final(self) -> Evaluation:
        """The last stage."""
        return self.fine_tuned or self.recalibrated or self.rebuilt


@dataclass(frozen=True)
class RunRecord:
    """One run: what it was told, what it did, what came out.

    `training` and `test` go by the network's name: dense; sparse; control, the sparse network fine-tuned without a cut;
    soft; scratch. Fine-tuning stands with its step. The test split is read to report only."""

    experiment: str
    settings: Mapping[str, str | int | float | bool | None]
    seed: int
    data: DatasetInfo
    spec: ModelSpec
    """The network before any cut."""
    cost: Cost
    recipes: Mapping[str, Recipe]
    training: Mapping[str, History]
    test: Mapping[str, Evaluation]
    scales: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """|γ| of the sparse network by layer, to six significant digits."""
    steps: tuple[PruneStep, ...] = ()
    """Cuts one after the other."""
    sweep: tuple[PruneStep, ...] = ()
    """Cuts of the same network, one beside the other."""
    latency: Mapping[str, Latency] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Versions, machine, device, threads and when; where several processes trained, how many."""

    def repeatable(self) -> "RunRecord":
        """The record without clocks and machine: what a second run on the same machine gives again exactly."""
        return replace(
            self,
            training={phase: history.without_clock() for phase, history in self.training.items()},
            steps=tuple(
                replace(step, fine_tuning=step.fine_tuning and step.fine_tuning.without_clock()) for step in self.steps
            ),
            latency={},
            provenance={},
        )


_converter = make_converter(forbid_extra_keys=True)
_structure_info = make_dict_structure_fn(DatasetInfo, _converter, _cattrs_forbid_extra_keys=True)


@_converter.register_structure_hook
def _with_family_and_kind(fields: Any, _: type[DatasetInfo]) -> DatasetInfo:
    """The set of a record; of one from before sets had a family and a kind, with those that its name told."""
    stored = DatasetName.stored(str(fields["name"]), fields.get("family"), fields.get("kind"))
    return _structure_info({**fields, "family": stored.family, "kind": stored.kind}, DatasetInfo)


def to_json(record: RunRecord) -> str:
    """The record as JSON text, keys in the order of the fields."""
    return json_text({"version": VERSION, **_converter.unstructure(record)})


def from_json(text: str) -> RunRecord:
    """The record that `to_json` wrote. Raises ValueError for any other text, naming what is wrong."""
    try:
        fields: dict[str, Any] = parse_json(text)
        version = fields.pop("version")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"this is no run record: {error}") from error
    if version != VERSION:
        raise ValueError(f"this record has version {version}, this program reads version {VERSION}")
    try:
        return _converter.structure(fields, RunRecord)
    except cattrs.BaseValidationError as error:
        raise ValueError("this is no run record: " + "; ".join(cattrs.transform_error(error))) from error


def read_record(path: Path) -> RunRecord:
    """The record in a file. Raises ValueError, or OSError where it may not be read, that names the file."""
    require_file(path)
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
